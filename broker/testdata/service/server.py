"""An MCP server on standard input and output, without any package."""

import json
import os
import sys


def answer(request):
    method = request["method"]
    if method == "initialize":
        return {
            "protocolVersion": request["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "fixture", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": [{"name": "where", "description": "says who runs", "inputSchema": {"type": "object"}}]}
    if method == "tools/call":
        text = f"python {sys.version_info.major} {os.environ.get('KEY')} {sys.argv[1:]}"
        return {"content": [{"type": "text", "text": text}]}
    return {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": answer(request)}), flush=True)

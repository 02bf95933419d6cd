// An MCP server on standard input and output whose tools do what tests ask for.
"use strict";
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const readline = require("node:readline");

const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
const text = (value) => ({ content: [{ type: "text", text: String(value) }] });
const schema = { type: "object" };
let names = ["echo", "env", "read", "write", "pid", "exit", "hang", "big", "flood", "forks", "eat", "retool", "dial"];
let lines = 0;

const tools = {
  echo: (args) => ({ ...text(args.text), structuredContent: { heard: args.text } }),
  env: (args) => text(process.env[args.name]),
  read: (args) => text(fs.readFileSync(args.path, "utf8")),
  write: (args) => (fs.writeFileSync(args.path, args.text), text("written")),
  pid: () => text(process.pid),
  exit: () => process.exit(3),
  hang: () => new Promise(() => {}),
  big: (args) => text("x".repeat(args.bytes)),
  flood: () => {
    for (;;) {
      try { fs.writeSync(1, "x".repeat(1 << 16) + "\n"); } catch { /* the pipe is full */ }
    }
  },
  forks: async () => {
    const failed = await new Promise((resolve) => {
      let failures = 0;
      for (let i = 0; i < 400; i++) {
        try {
          const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"], { detached: true, stdio: "ignore" });
          child.on("error", () => resolve(++failures));
        } catch { resolve(++failures); }
      }
      setTimeout(() => resolve(failures), 15000);
    });
    return text(failed > 0 ? "refused" : "all started");
  },
  eat: () => { const all = []; for (;;) all.push(Buffer.alloc(1 << 24, 1)); },
  retool: () => { names = ["echo", "another"]; say({ method: "notifications/tools/list_changed" }); return text("changed"); },
  dial: (args) => new Promise((resolve) => {
    const socket = net.connect(args.port, args.host);
    socket.on("connect", () => { socket.destroy(); resolve(text("connected")); });
    socket.on("error", (err) => resolve(text("no: " + err.code)));
  }),
};

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const request = JSON.parse(line);
  lines++;
  if (request.id === undefined) return;
  const answer = (result) => say({ id: request.id, result });
  switch (request.method) {
    case "initialize":
      console.error("started with " + process.argv.length + " arguments");
      return answer({ protocolVersion: request.params.protocolVersion, capabilities: { tools: { listChanged: true } }, serverInfo: { name: "fixture", version: "1" } });
    case "tools/list":
      return answer({ tools: names.map((name) => ({ name, description: "does " + name, inputSchema: schema })) });
    case "tools/call":
      try {
        return answer(await tools[request.params.name](request.params.arguments ?? {}));
      } catch (err) {
        return answer({ ...text(err.message), isError: true });
      }
    case "ping":
      return answer({});
  }
  say({ id: request.id, error: { code: -32601, message: "no method " + request.method } });
});

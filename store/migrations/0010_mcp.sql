-- MCP servers that sessions host. The tools come last, so that what asks for a
-- host need not follow their overflow pages.

CREATE TABLE mcp_server (
  name        TEXT PRIMARY KEY,
  description TEXT NOT NULL,
  member      TEXT NOT NULL,              -- id
  host        INTEGER NOT NULL,           -- address of the session
  host_name   TEXT NOT NULL,
  persistent  INTEGER NOT NULL,
  registered  INTEGER NOT NULL,
  offline     INTEGER,                    -- since when no session hosts it; NULL while one does
  tools       TEXT NOT NULL               -- JSON: [{name, description, inputSchema}]
) STRICT, WITHOUT ROWID;
CREATE INDEX mcp_server_host ON mcp_server (host);
CREATE INDEX mcp_server_member ON mcp_server (member);
CREATE INDEX mcp_server_offline ON mcp_server (offline) WHERE offline IS NOT NULL;

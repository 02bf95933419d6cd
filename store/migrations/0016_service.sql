-- Tool servers that the broker runs. Times are milliseconds since the Unix
-- epoch. The tools come last, as in mcp_server. No name is in both tables.

CREATE TABLE service (
  name        TEXT PRIMARY KEY,
  description TEXT NOT NULL,
  member      TEXT NOT NULL,              -- id of who deployed it
  deployer    TEXT NOT NULL,              -- display name
  source_type TEXT NOT NULL,
  source      TEXT NOT NULL,              -- JSON, without what is secret
  config      TEXT NOT NULL,              -- JSON, without what is secret
  secrets     BLOB,                       -- JSON, sealed: environment and what opens the source
  scope       TEXT NOT NULL,              -- JSON
  status      TEXT NOT NULL CHECK (status IN ('building', 'installing', 'running', 'restarting', 'crashed', 'failed', 'stopped')),
  error       TEXT,
  runtime     TEXT,
  revision    TEXT,                       -- commit of a git source
  previous    TEXT,                       -- the commit before
  restarts    INTEGER NOT NULL,
  version     INTEGER NOT NULL,
  created     INTEGER NOT NULL,
  updated     INTEGER NOT NULL,
  tools       TEXT NOT NULL               -- JSON: [{name, description, inputSchema}]
) STRICT, WITHOUT ROWID;
CREATE INDEX service_member ON service (member);

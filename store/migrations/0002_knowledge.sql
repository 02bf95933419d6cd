-- What the members of a mesh share: state, memories, contexts.

CREATE TABLE state (
  key     TEXT PRIMARY KEY,
  value   TEXT NOT NULL,                  -- JSON
  author  TEXT NOT NULL,                  -- display name
  updated INTEGER NOT NULL,               -- grows with each change of the key
  size    INTEGER NOT NULL                -- bytes that count against the limit
) STRICT;

-- num grows with created, so that the newest are the highest.
CREATE TABLE memory (
  num     INTEGER PRIMARY KEY,
  id      TEXT NOT NULL UNIQUE,
  content TEXT NOT NULL,
  tags    TEXT NOT NULL,                  -- one a line
  author  TEXT NOT NULL,                  -- display name
  created INTEGER NOT NULL
) STRICT;
CREATE INDEX memory_created ON memory (created);

-- The words of memory. Rows are added and deleted by hand, in the same write.
CREATE VIRTUAL TABLE memory_text USING fts5 (
  content, tags, author, content = 'memory', content_rowid = 'num', tokenize = 'porter unicode61'
);

CREATE TABLE context (
  num     INTEGER PRIMARY KEY,
  id      TEXT NOT NULL UNIQUE,
  member  TEXT NOT NULL UNIQUE,           -- id
  author  TEXT NOT NULL,                  -- display name
  body    TEXT NOT NULL,                  -- JSON: {summary, files, findings, tags}
  folded  TEXT NOT NULL,                  -- all texts of body in lower case, one a line
  updated INTEGER NOT NULL
) STRICT;
CREATE INDEX context_updated ON context (updated);

-- The words of context, by its num; only the index, not the texts again.
CREATE VIRTUAL TABLE context_text USING fts5 (
  words, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);

-- How many rows, or bytes, there are of what is bounded and too much to count.
CREATE TABLE tally (
  name TEXT PRIMARY KEY,
  n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

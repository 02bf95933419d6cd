-- Streams: the newest entries of each, and who subscribes.

CREATE TABLE stream (
  num        INTEGER PRIMARY KEY,
  id         TEXT NOT NULL,
  name       TEXT NOT NULL UNIQUE,
  keep       INTEGER NOT NULL CHECK (keep >= 0),
  last       INTEGER NOT NULL DEFAULT 0,  -- number of the newest entry
  kept       INTEGER NOT NULL DEFAULT 0,  -- entries that are there
  bytes      INTEGER NOT NULL DEFAULT 0,  -- and how large they are together
  created_by TEXT NOT NULL,               -- display name
  member     TEXT NOT NULL,               -- id of the member who made it
  created    INTEGER NOT NULL
) STRICT;

CREATE TABLE stream_entry (
  num       INTEGER PRIMARY KEY,
  stream    INTEGER NOT NULL REFERENCES stream (num) ON DELETE CASCADE,
  seq       INTEGER NOT NULL,
  published INTEGER NOT NULL,
  publisher TEXT NOT NULL,                -- display name
  data      TEXT NOT NULL                 -- JSON
) STRICT;
CREATE UNIQUE INDEX stream_entry_seq ON stream_entry (stream, seq);

CREATE TABLE subscription (
  address INTEGER NOT NULL REFERENCES address (id) ON DELETE CASCADE, -- of a session
  stream  TEXT NOT NULL,                  -- its name: it need not be there
  PRIMARY KEY (address, stream)
) STRICT, WITHOUT ROWID;

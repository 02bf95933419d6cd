-- Where programs outside of the mesh post to. Times are milliseconds since
-- the Unix epoch.

CREATE TABLE webhook (
  id        TEXT PRIMARY KEY,
  name      TEXT NOT NULL UNIQUE,
  member_id TEXT NOT NULL,
  creator   TEXT NOT NULL,                -- display name
  hash      BLOB NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256 of the secret
  target    TEXT NOT NULL,
  template  TEXT,
  style     TEXT,                         -- of the signature
  signing   BLOB,                         -- secret of the sender, sealed
  received  INTEGER NOT NULL,
  last      INTEGER,
  created   INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_member ON webhook (member_id);

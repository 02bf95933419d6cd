-- What happened in the mesh, each entry chained to the one before it by its
-- hash. Written with every message: no index but the key, and no hash of the
-- entry before, which is in its row.
CREATE TABLE audit (
  id      INTEGER PRIMARY KEY,            -- 1, 2, 3, … without gaps
  event   TEXT NOT NULL,
  actor   TEXT CHECK (actor <> ''),       -- member id
  payload TEXT NOT NULL,                  -- canonical JSON, the bytes that are hashed
  created INTEGER NOT NULL,               -- milliseconds since the Unix epoch
  hash    BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- The last of the entries that were pruned, as the broker signed it.
CREATE TABLE audit_base (
  one       INTEGER PRIMARY KEY CHECK (one = 1),
  id        INTEGER NOT NULL,
  hash      BLOB NOT NULL CHECK (length(hash) = 32),
  created   INTEGER NOT NULL,             -- when it was signed
  signer    TEXT NOT NULL,                -- public key, hex64
  signature TEXT NOT NULL
) STRICT;

-- What members keep in the vault, sealed to their keys: the broker cannot read
-- it. The value comes last, so that a list need not follow its overflow pages.

CREATE TABLE vault (
  member_id   TEXT NOT NULL,
  key         TEXT NOT NULL,
  type        TEXT NOT NULL CHECK (type IN ('env', 'file')),
  mount_path  TEXT,
  description TEXT,
  updated     INTEGER NOT NULL,           -- milliseconds since the Unix epoch
  size        INTEGER NOT NULL,           -- bytes of the value
  nonce       BLOB NOT NULL,
  sealed_key  BLOB NOT NULL,
  ciphertext  BLOB NOT NULL,
  PRIMARY KEY (member_id, key)
) STRICT;

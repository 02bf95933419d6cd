-- Shared files. The bytes of each are in the directory files beside this one,
-- under the file's id. They are there before the row is, and go after it.

CREATE TABLE file (
  id            TEXT PRIMARY KEY,
  name          TEXT NOT NULL,
  size          INTEGER NOT NULL,
  type          TEXT,
  sha256        BLOB NOT NULL CHECK (length(sha256) = 32),
  tags          TEXT NOT NULL,            -- JSON: [text]
  encrypted     INTEGER NOT NULL,
  owner         TEXT,                     -- public key, hex64, of a sealed file
  uploader      TEXT,                     -- member
  uploader_name TEXT NOT NULL,
  target        TEXT,                     -- who may fetch it: key, @group; NULL is everyone
  uploaded      INTEGER NOT NULL,
  expires       INTEGER
) STRICT;
CREATE INDEX file_uploaded ON file (uploaded, id);
CREATE INDEX file_expires ON file (expires) WHERE expires IS NOT NULL;

-- The key of a sealed file, sealed to those who may open it.
CREATE TABLE file_key (
  file    TEXT NOT NULL REFERENCES file (id) ON DELETE CASCADE,
  pubkey  TEXT NOT NULL,                  -- hex64
  sealed  TEXT NOT NULL,                  -- base64
  granter TEXT,                           -- member
  granted INTEGER NOT NULL,
  PRIMARY KEY (file, pubkey)
) STRICT, WITHOUT ROWID;

-- Who was given the address of a file's bytes.
CREATE TABLE file_access (
  id     INTEGER PRIMARY KEY,
  file   TEXT NOT NULL REFERENCES file (id) ON DELETE CASCADE,
  pubkey TEXT NOT NULL,                   -- hex64
  name   TEXT NOT NULL,
  at     INTEGER NOT NULL
) STRICT;
CREATE INDEX file_access_file ON file_access (file, id);

-- Skills: instruction texts that members share. The text comes last, so that a
-- list need not follow its overflow pages.

CREATE TABLE skill (
  name         TEXT PRIMARY KEY,
  description  TEXT NOT NULL,
  tags         TEXT NOT NULL,             -- JSON: [string]
  author       TEXT NOT NULL,             -- display name
  member       TEXT NOT NULL,             -- id
  pubkey       TEXT NOT NULL,             -- of the member, hex64
  manifest     TEXT,                      -- JSON
  created      INTEGER NOT NULL,
  updated      INTEGER NOT NULL,
  instructions TEXT NOT NULL
) STRICT;

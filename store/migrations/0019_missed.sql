-- Events that gave way before any process of their recipient had them, until the
-- recipient is told how many.
CREATE TABLE missed (
  recipient INTEGER NOT NULL REFERENCES address (id) ON DELETE CASCADE,
  source    TEXT NOT NULL,                -- what made them; '' for more sources than are told apart
  n         INTEGER NOT NULL,
  PRIMARY KEY (recipient, source)
) STRICT, WITHOUT ROWID;

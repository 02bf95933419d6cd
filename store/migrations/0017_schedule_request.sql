-- Requests that made a schedule, by their senders' own ids for them, so that one
-- that is repeated makes no second one. Times are milliseconds since the Unix epoch.

CREATE TABLE schedule_request (
  member_id TEXT NOT NULL,
  client_id TEXT NOT NULL,
  digest    BLOB NOT NULL CHECK (length(digest) = 32), -- of what was asked
  answer    TEXT NOT NULL,                             -- JSON
  created   INTEGER NOT NULL,
  PRIMARY KEY (member_id, client_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedule_request_age ON schedule_request (member_id, created);

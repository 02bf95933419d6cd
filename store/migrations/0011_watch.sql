-- The URLs that members have watched. Times are milliseconds since the Unix
-- epoch.

CREATE TABLE watch (
  id        TEXT PRIMARY KEY,             -- w_ and 8 hex digits
  member_id TEXT NOT NULL,
  url       TEXT NOT NULL,
  mode      TEXT NOT NULL CHECK (mode IN ('hash', 'json', 'status')),
  extract   TEXT,
  interval  INTEGER NOT NULL CHECK (interval > 0), -- seconds
  notify_on TEXT NOT NULL,
  headers   BLOB,                         -- JSON, sealed
  label     TEXT,
  created   INTEGER NOT NULL,
  known     INTEGER NOT NULL,             -- 1 once a look has succeeded
  sum       BLOB NOT NULL CHECK (length(sum) = 32), -- SHA-256 of the last value
  value     TEXT NOT NULL,                -- the last value, cut
  etag      TEXT,
  modified  TEXT,                         -- Last-Modified, as the server wrote it
  checked   INTEGER,
  failures  INTEGER NOT NULL,
  error     TEXT,
  told      INTEGER NOT NULL              -- 1 while the member knows that it fails
) STRICT;
CREATE INDEX watch_member ON watch (member_id);

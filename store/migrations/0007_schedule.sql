-- What is to be sent later, and the clock of simulations. Times are
-- milliseconds since the Unix epoch; next_fire is one of the clock that the
-- entry goes by.

CREATE TABLE schedule (
  id           TEXT PRIMARY KEY,          -- UUID
  member_id    TEXT NOT NULL,
  creator      INTEGER NOT NULL,          -- address of the session that made it
  target       TEXT NOT NULL,
  clock        TEXT NOT NULL CHECK (clock IN ('real', 'sim')),
  next_fire    INTEGER NOT NULL,
  cron         TEXT,                      -- NULL: once
  tz           TEXT,
  missed       TEXT NOT NULL CHECK (missed IN ('once', 'skip', 'all')),
  subtype      TEXT,
  fired        INTEGER NOT NULL,
  last_message TEXT,
  created      INTEGER NOT NULL,
  nonce        TEXT NOT NULL,             -- empty: body is plain text
  body         TEXT NOT NULL
) STRICT;
CREATE INDEX schedule_due ON schedule (clock, next_fire, id);
CREATE INDEX schedule_member ON schedule (member_id, next_fire, id);

CREATE TABLE sim_clock (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  speed    REAL NOT NULL,
  paused   INTEGER NOT NULL,
  tick     INTEGER NOT NULL,
  sim_time INTEGER NOT NULL,
  started  INTEGER NOT NULL,
  changed  INTEGER NOT NULL               -- when it was set, paused or resumed
) STRICT;

-- The entry that sent a message, and when that was due.
ALTER TABLE message ADD COLUMN schedule TEXT;
ALTER TABLE message ADD COLUMN due INTEGER;

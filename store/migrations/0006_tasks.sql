-- Tasks, and the paths that are reserved, for a task or without.

CREATE TABLE task (
  n              INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of creation
  id             TEXT NOT NULL UNIQUE,
  title          TEXT NOT NULL,
  assignee       TEXT,
  assignee_key   TEXT,                    -- of one peer, hex64
  priority       TEXT NOT NULL,
  tags           TEXT NOT NULL,           -- JSON: [string]
  status         TEXT NOT NULL CHECK (status IN ('open', 'claimed', 'done')),
  creator        TEXT,                    -- name
  creator_member TEXT,
  created        INTEGER NOT NULL,
  claimer        INTEGER,                 -- address; these six while, or because, it was claimed
  claimer_key    TEXT,
  claimer_member TEXT,
  claimer_name   TEXT,
  claimed        INTEGER,
  lapses         INTEGER,                 -- of a claim that is tied to no presence
  result         TEXT,
  completer      TEXT,                    -- name
  completed      INTEGER
) STRICT;
CREATE INDEX task_status ON task (status, n);
CREATE INDEX task_lapses ON task (lapses) WHERE lapses IS NOT NULL;
CREATE INDEX task_claimer ON task (claimer) WHERE status = 'claimed';
CREATE INDEX task_claimer_member ON task (claimer_member) WHERE status = 'claimed';

CREATE TABLE reservation (
  n             INTEGER PRIMARY KEY AUTOINCREMENT,
  id            TEXT NOT NULL UNIQUE,
  repo          TEXT NOT NULL,
  pattern       TEXT NOT NULL,
  shared        INTEGER NOT NULL,
  holder        INTEGER NOT NULL,         -- address
  holder_key    TEXT NOT NULL,
  holder_member TEXT NOT NULL,
  holder_name   TEXT NOT NULL,
  reason        TEXT,
  task_id       TEXT,                     -- ends with this claim
  bound         INTEGER NOT NULL,         -- ends with the holder's presence
  reserved      INTEGER NOT NULL,
  expires       INTEGER NOT NULL,
  UNIQUE (repo, pattern, holder)
) STRICT;
CREATE INDEX reservation_repo ON reservation (repo, n);
CREATE INDEX reservation_holder ON reservation (holder);
CREATE INDEX reservation_member ON reservation (holder_member);
CREATE INDEX reservation_task ON reservation (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX reservation_expires ON reservation (expires);

-- The core of a mesh: who is in it, how to reach them, what they were sent.
-- Times are milliseconds since the Unix epoch.

CREATE TABLE mesh (
  one           INTEGER PRIMARY KEY CHECK (one = 1),
  id            TEXT NOT NULL,
  slug          TEXT NOT NULL,
  name          TEXT NOT NULL,
  owner         TEXT NOT NULL,            -- public key, hex64
  self_editable TEXT NOT NULL,            -- JSON
  message_ttl   INTEGER NOT NULL CHECK (message_ttl > 0),
  created       INTEGER NOT NULL,
  archived      INTEGER
) STRICT;

CREATE TABLE member (
  id           TEXT PRIMARY KEY,
  pubkey       TEXT NOT NULL,             -- hex64
  display_name TEXT NOT NULL,
  permission   TEXT NOT NULL CHECK (permission IN ('admin', 'member')),
  role_tag     TEXT,
  groups       TEXT NOT NULL,             -- JSON: [{name, role}]
  message_mode TEXT NOT NULL CHECK (message_mode IN ('push', 'inbox', 'off')),
  joined       INTEGER NOT NULL,
  last_seen    INTEGER,
  revoked      INTEGER
) STRICT;
CREATE UNIQUE INDEX member_pubkey ON member (pubkey) WHERE revoked IS NULL;

CREATE TABLE invite (
  id         TEXT PRIMARY KEY,
  token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
  role       TEXT NOT NULL CHECK (role IN ('admin', 'member')),
  max_uses   INTEGER NOT NULL CHECK (max_uses > 0),
  used       INTEGER NOT NULL DEFAULT 0,
  expires    INTEGER NOT NULL,
  preset     TEXT NOT NULL,               -- JSON
  creator    TEXT NOT NULL,               -- public key, hex64
  created    INTEGER NOT NULL,
  revoked    INTEGER
) STRICT;

-- Every key ever seen as a routing address. AUTOINCREMENT: the number of a
-- deleted address may still stand in old messages and must not come back.
CREATE TABLE address (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  key       TEXT NOT NULL UNIQUE,         -- public key, hex64
  kind      TEXT NOT NULL CHECK (kind IN ('member', 'session', 'unknown')),
  member_id TEXT,
  created   INTEGER NOT NULL,
  used      INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
  address      INTEGER PRIMARY KEY REFERENCES address (id) ON DELETE CASCADE,
  member_id    TEXT NOT NULL,
  host_session TEXT NOT NULL,
  display_name TEXT NOT NULL,
  groups       TEXT NOT NULL,             -- JSON: [{name, role}]
  profile      TEXT,                      -- JSON
  visible      INTEGER NOT NULL,
  summary      TEXT,
  messages_in  INTEGER NOT NULL,
  messages_out INTEGER NOT NULL,
  tool_calls   INTEGER NOT NULL,
  errors       INTEGER NOT NULL,
  role         TEXT,
  cwd          TEXT NOT NULL,
  hostname     TEXT,
  pid          INTEGER NOT NULL,
  peer_type    TEXT,
  channel      TEXT,
  model        TEXT,
  online       INTEGER NOT NULL,
  connected    INTEGER NOT NULL,
  saved        INTEGER NOT NULL
) STRICT;
CREATE INDEX session_member ON session (member_id, saved);
CREATE INDEX session_online ON session (online) WHERE online = 1;

-- message and delivery are written for every message, and are read by seq. So
-- the deliveries of a message lie together: one to a thousand recipients
-- touches a few pages, where a table ordered by recipient would touch a
-- thousand. What waits for a recipient is found by an index of the open
-- deliveries only; it stays small, because they leave it when they are over.
-- The long columns of message come last, so that a scan of the short ones
-- need not follow overflow pages.
CREATE TABLE message (
  seq           INTEGER PRIMARY KEY,
  id            TEXT NOT NULL,
  sender        INTEGER NOT NULL,         -- address
  sender_member TEXT,
  sender_name   TEXT,
  target        TEXT NOT NULL,
  priority      INTEGER NOT NULL,         -- 0 now, 1 next, 2 low
  subtype       TEXT,
  reply_to      TEXT,
  client_id     TEXT,
  digest        BLOB NOT NULL,
  receipt       INTEGER NOT NULL,
  created       INTEGER NOT NULL,
  expires       INTEGER NOT NULL,
  recipients    BLOB NOT NULL,            -- addresses, unsigned varints
  nonce         TEXT NOT NULL,
  ciphertext    TEXT NOT NULL
) STRICT;

CREATE TABLE delivery (
  recipient INTEGER NOT NULL,             -- address
  seq       INTEGER NOT NULL,
  priority  INTEGER NOT NULL,
  receipt   INTEGER NOT NULL,             -- as in message
  state     INTEGER NOT NULL DEFAULT 0,   -- 0 pending, 1 delivered, 2 done, 3 expired
  attempts  INTEGER NOT NULL DEFAULT 0,
  pushed    INTEGER,
  delivered INTEGER,
  seen      INTEGER,
  expired   INTEGER,
  PRIMARY KEY (seq, recipient)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_open ON delivery (recipient, seq) WHERE state < 2;

-- Where a delivery went that is no longer with the address it was made for.
CREATE TABLE moved (
  seq    INTEGER NOT NULL,
  origin INTEGER NOT NULL,                -- address
  heir   INTEGER NOT NULL,                -- address
  at     INTEGER NOT NULL,
  PRIMARY KEY (seq, origin)
) STRICT, WITHOUT ROWID;

CREATE TABLE notice (
  id        INTEGER PRIMARY KEY AUTOINCREMENT, -- grows though the newest is deleted
  recipient INTEGER NOT NULL,             -- address
  kind      TEXT NOT NULL,
  body      TEXT NOT NULL,                -- JSON
  created   INTEGER NOT NULL
) STRICT;
CREATE INDEX notice_recipient ON notice (recipient, id);

-- How far each periodic walk over a table has come.
CREATE TABLE walk (
  name     TEXT PRIMARY KEY,
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

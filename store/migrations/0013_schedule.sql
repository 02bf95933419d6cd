-- When an entry was due that waits for room in a mailbox and is tried again at
-- next_fire, by the clock that it goes by.
ALTER TABLE schedule ADD COLUMN due INTEGER;

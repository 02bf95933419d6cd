-- Which protocol the client of a session speaks: who is in the grace after a
-- restart must not pass for a client of an older version.
ALTER TABLE session ADD COLUMN proto INTEGER NOT NULL DEFAULT 1;

-- Whether the end of the broker paused the clock, at changed, and nobody turned it since.
ALTER TABLE sim_clock ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;

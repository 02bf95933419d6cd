-- Events, which no peer sends: of a recipient's those of one source are found,
-- and of all the oldest, among the few that are still open.
ALTER TABLE delivery ADD COLUMN source TEXT;  -- what made the event; NULL for a message of a peer
CREATE INDEX delivery_source ON delivery (recipient, source, seq) WHERE source IS NOT NULL AND state < 2;
CREATE INDEX delivery_event ON delivery (seq) WHERE source IS NOT NULL AND state < 2;

ALTER TABLE webhook ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0; -- deliveries that gave way before they were seen

-- What a skill was deployed from, if it was not shared as a text.

ALTER TABLE skill ADD COLUMN source_type TEXT;
ALTER TABLE skill ADD COLUMN revision TEXT;  -- commit of a git source
ALTER TABLE skill ADD COLUMN files TEXT;     -- JSON: [{path, size}]

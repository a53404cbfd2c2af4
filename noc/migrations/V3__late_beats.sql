-- Which beats of a boot were counted: all up to the highest but those in gaps, which may still come late. Of boots that ended
-- before this was kept, nothing more is counted.
ALTER TABLE appliances ADD COLUMN gaps TEXT NOT NULL DEFAULT '[]';
ALTER TABLE ended_boots ADD COLUMN counter INTEGER NOT NULL DEFAULT 9223372036854775807;
ALTER TABLE ended_boots ADD COLUMN gaps TEXT NOT NULL DEFAULT '[]';

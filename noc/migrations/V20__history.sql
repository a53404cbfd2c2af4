-- The history of beats (decision 0035). What one commit took: written at the end of the table, and read again when it is put into the
-- blocks below.
CREATE TABLE beat_journal (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    beats   INTEGER NOT NULL,
    records BLOB NOT NULL
) STRICT;

-- Beats of one appliance. `id` is the appliance's shifted left by 32 bits, and the number of the block: those of one appliance lie together
-- and need no index. `upto`: the last of the journal that is in it or in one before.
CREATE TABLE beat_blocks (
    id      INTEGER PRIMARY KEY,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    beats   INTEGER NOT NULL,
    upto    INTEGER NOT NULL,
    records BLOB NOT NULL
) STRICT;

-- Roll-ups of one appliance: `id` is the appliance's shifted left by 32 bits, one bit for hours, and the day (of five minutes each) or
-- thirty days (of hours).
CREATE TABLE beat_rollups (
    id     INTEGER PRIMARY KEY,
    points BLOB NOT NULL
) STRICT;

-- How long an organisation keeps each, seconds.
ALTER TABLE organisations ADD COLUMN keep_beats_s INTEGER NOT NULL DEFAULT 172800;
ALTER TABLE organisations ADD COLUMN keep_five_minutes_s INTEGER NOT NULL DEFAULT 2592000;
ALTER TABLE organisations ADD COLUMN keep_hours_s INTEGER NOT NULL DEFAULT 63072000;

-- What the command line has released is looked for often.
CREATE INDEX appliances_released ON appliances (id) WHERE applied = 0 AND health <> 'not_expected';

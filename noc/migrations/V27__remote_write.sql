-- Where an organisation has its history written besides (decision 0041).
CREATE TABLE remote_writes (
    organisation INTEGER PRIMARY KEY REFERENCES organisations (id),
    url TEXT NOT NULL,
    user TEXT NOT NULL DEFAULT '',
    -- A password, or a token when there is no user; empty for none.
    secret TEXT NOT NULL DEFAULT '',
    ca TEXT NOT NULL DEFAULT '',
    -- The target was set by the NOC's own people: it may be in networks that noc.toml allows.
    is_trusted INTEGER NOT NULL DEFAULT 0,
    is_enabled INTEGER NOT NULL DEFAULT 1,
    -- Counts what was set: whoever sends by what was before stops.
    version INTEGER NOT NULL,
    -- Up to which row of beat_journal it has gone out.
    cursor INTEGER NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER,
    tried INTEGER,
    outcome TEXT NOT NULL DEFAULT '',
    failing_since INTEGER
) STRICT;

-- Rows of beat_journal that were folded before they had gone out, under their numbers.
CREATE TABLE beat_outbox (
    id      INTEGER PRIMARY KEY,
    beats   INTEGER NOT NULL,
    records BLOB NOT NULL
) STRICT;

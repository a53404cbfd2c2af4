-- Messages to consoles, carried out in the order of their numbers.
CREATE TABLE queue (
    console  INTEGER NOT NULL REFERENCES consoles (id),
    number   INTEGER NOT NULL,
    -- The order as JSON, for operators.
    said     TEXT NOT NULL,
    -- What the console gets: COSE_Sign1 by the root.
    signed   BLOB NOT NULL,
    issued   INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    fetched  INTEGER,
    taken    INTEGER,
    finished INTEGER,
    state    TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'cancelled', 'taken', 'done', 'failed')),
    code     TEXT NOT NULL DEFAULT '',
    detail   TEXT NOT NULL DEFAULT '',
    answer   TEXT,
    PRIMARY KEY (console, number)
) STRICT;

CREATE INDEX queue_waiting ON queue (console, number) WHERE state = 'waiting';

-- What the NOC had this console do. `noc` is the NOC's root key: numbers of another NOC are other numbers.
CREATE TABLE message (
    noc      BLOB NOT NULL,
    number   INTEGER NOT NULL,
    -- The order, as the NOC wrote it.
    said     TEXT NOT NULL,
    received INTEGER NOT NULL,
    state    TEXT NOT NULL DEFAULT 'taken' CHECK (state IN ('taken', 'done', 'failed')),
    -- The job that a configuration became, made in one transaction with this.
    job      INTEGER REFERENCES job (id),
    finished INTEGER,
    problem  TEXT,
    answer   TEXT,
    -- The state that the NOC has been told, or empty.
    told     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (noc, number)
) STRICT;

CREATE INDEX message_open ON message (noc, number) WHERE state = 'taken';
CREATE INDEX message_untold ON message (noc, number) WHERE told <> state;

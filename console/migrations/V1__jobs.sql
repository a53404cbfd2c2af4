CREATE TABLE job (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    site      INTEGER NOT NULL,
    started   INTEGER NOT NULL,
    finished  INTEGER,
    cancelled INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One appliance of a job. The secrets (claim_key, saved) are deleted as soon as the item is done.
CREATE TABLE item (
    job        INTEGER NOT NULL REFERENCES job (id),
    position   INTEGER NOT NULL,
    uid        TEXT NOT NULL,
    mac        TEXT NOT NULL,
    device_key BLOB NOT NULL,
    settings   TEXT NOT NULL,
    seq        INTEGER,
    signed     BLOB,
    claim_key  BLOB,
    saved      BLOB,
    step       TEXT NOT NULL DEFAULT 'waiting',
    attempts   INTEGER NOT NULL DEFAULT 0,
    problem    TEXT,
    PRIMARY KEY (job, uid)
) STRICT;

-- What the NOC has still to be told.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    uid        TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    configured INTEGER NOT NULL,
    reason     TEXT NOT NULL
) STRICT;

CREATE TABLE preference (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- What the NOC gives with the answers to beats. A grant without a console is one of these.
CREATE TABLE grants_of_all (
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    seq INTEGER NOT NULL,
    site INTEGER NOT NULL REFERENCES sites (id),
    console INTEGER REFERENCES consoles (id),
    settings TEXT NOT NULL,
    interval_s INTEGER NOT NULL,
    issued INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    configured INTEGER,
    reason TEXT NOT NULL DEFAULT '',
    -- What the appliance had to say beyond the reason.
    detail TEXT NOT NULL DEFAULT '',
    reported INTEGER,
    PRIMARY KEY (appliance, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO grants_of_all (appliance, seq, site, console, settings, interval_s, issued, expires, configured, reason, reported)
    SELECT appliance, seq, site, console, settings, interval_s, issued, expires, configured, reason, reported FROM grants;
DROP TABLE grants;
ALTER TABLE grants_of_all RENAME TO grants;

-- The last grant that the NOC gives to an appliance itself. Kept as signed: a number is never signed twice.
CREATE TABLE given_grants (
    appliance INTEGER PRIMARY KEY REFERENCES appliances (id),
    seq INTEGER NOT NULL,
    signed BLOB NOT NULL,
    -- When it went out with an answer for the first time.
    given INTEGER
) STRICT;

CREATE TABLE instructions (
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    serial INTEGER NOT NULL,
    act TEXT NOT NULL,
    issued INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    given INTEGER,
    -- When a beat reported it, and what went wrong.
    done INTEGER,
    problem TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (appliance, serial)
) STRICT, WITHOUT ROWID;

-- The newest log bundle of each appliance.
CREATE TABLE logs (
    appliance INTEGER PRIMARY KEY REFERENCES appliances (id),
    taken INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

-- Settings of the appliance whose role this one takes over at its next configuration.
ALTER TABLE appliances ADD COLUMN planned TEXT;
-- Which appliance has its role now.
ALTER TABLE appliances ADD COLUMN successor INTEGER REFERENCES appliances (id);

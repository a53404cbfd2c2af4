-- Every configuration that was ever signed for an appliance (decision 0032). Grants end with what they are for; these stay.
CREATE TABLE configurations (
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    -- 1, 2, 3 and so on for each appliance.
    version  INTEGER NOT NULL,
    -- The number of the grant.
    seq      INTEGER NOT NULL,
    site     INTEGER NOT NULL REFERENCES sites (id),
    settings TEXT NOT NULL,
    -- Who had it signed, as in the audit log, and why, in their words.
    actor    TEXT NOT NULL,
    why      TEXT NOT NULL DEFAULT '',
    signed   INTEGER NOT NULL,
    state    TEXT NOT NULL DEFAULT 'signed' CHECK (state IN ('signed', 'applied', 'failed')),
    reason   TEXT NOT NULL DEFAULT '',
    decided  INTEGER,
    PRIMARY KEY (appliance, version),
    UNIQUE (appliance, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO configurations (appliance, version, seq, site, settings, actor, signed, state, reason, decided)
    SELECT appliance, row_number() OVER (PARTITION BY appliance ORDER BY seq), seq, site, settings,
        CASE WHEN console IS NULL THEN 'noc' ELSE 'console:' || console END, issued,
        CASE configured WHEN 1 THEN 'applied' WHEN 0 THEN 'failed' ELSE 'signed' END, reason, reported
    FROM grants;

-- Changes of many appliances of a site, reviewed before they are made.
CREATE TABLE drafts (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    site     INTEGER NOT NULL REFERENCES sites (id),
    title    TEXT NOT NULL,
    made     INTEGER NOT NULL,
    made_by  TEXT NOT NULL,
    state    TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'applied', 'discarded')),
    decided  INTEGER,
    decided_by TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX drafts_by_site ON drafts (site, id);

CREATE TABLE draft_rows (
    draft     INTEGER NOT NULL REFERENCES drafts (id),
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    -- What it had when the draft was made: what the reviewer compared with.
    base      TEXT NOT NULL,
    wanted    TEXT NOT NULL,
    -- The version that was signed for it.
    version   INTEGER,
    PRIMARY KEY (draft, appliance)
) STRICT, WITHOUT ROWID;
CREATE INDEX draft_rows_by_appliance ON draft_rows (appliance);

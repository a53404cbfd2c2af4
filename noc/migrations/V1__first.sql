-- Times are Unix seconds. Words are those of the JSON interface. `revision` numbers every change that consoles follow.

CREATE TABLE noc (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    -- The root's public key: a data folder put together from two is noticed.
    root BLOB NOT NULL CHECK (length(root) = 32)
) STRICT;

CREATE TABLE sites (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    pool TEXT NOT NULL,
    netmask TEXT NOT NULL,
    gateway TEXT NOT NULL,
    domain TEXT NOT NULL,
    dns1 TEXT NOT NULL,
    dns2 TEXT NOT NULL,
    host_name TEXT NOT NULL,
    beat_interval_s INTEGER NOT NULL,
    confirm TEXT NOT NULL,
    window_s INTEGER NOT NULL
) STRICT;

CREATE TABLE consoles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
    enrolled INTEGER NOT NULL,
    revoked INTEGER
) STRICT;

CREATE TABLE console_sites (
    console INTEGER NOT NULL REFERENCES consoles (id),
    site INTEGER NOT NULL REFERENCES sites (id),
    PRIMARY KEY (console, site)
) STRICT, WITHOUT ROWID;

-- Only a hash of the token is kept. `csr_hash` lets the console that used it ask again when the answer was lost.
CREATE TABLE invites (
    token_hash BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    expires INTEGER NOT NULL,
    used INTEGER,
    console INTEGER REFERENCES consoles (id),
    csr_hash BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE invite_sites (
    token_hash BLOB NOT NULL REFERENCES invites (token_hash),
    site INTEGER NOT NULL REFERENCES sites (id),
    PRIMARY KEY (token_hash, site)
) STRICT, WITHOUT ROWID;

CREATE TABLE appliances (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid BLOB NOT NULL UNIQUE CHECK (length(uid) = 20),
    mac BLOB NOT NULL CHECK (length(mac) = 6),
    serial TEXT NOT NULL,
    model TEXT NOT NULL,
    claim TEXT NOT NULL,
    site INTEGER REFERENCES sites (id),
    -- Number of the last grant signed, and of the grant last reported applied; 0 for none.
    seq INTEGER NOT NULL DEFAULT 0,
    applied INTEGER NOT NULL DEFAULT 0,
    -- 1 once the appliance is known to follow our root, so that the claim key is no longer handed out.
    pinned INTEGER NOT NULL DEFAULT 0,
    settings TEXT,
    interval_s INTEGER NOT NULL DEFAULT 60,
    provisioning TEXT NOT NULL DEFAULT 'known',
    health TEXT NOT NULL DEFAULT 'not_expected',
    last_beat INTEGER,
    boot BLOB,
    counter INTEGER NOT NULL DEFAULT 0,
    beat TEXT,
    revision INTEGER NOT NULL
) STRICT;
CREATE INDEX appliances_by_revision ON appliances (revision);
CREATE INDEX appliances_by_site ON appliances (site);
CREATE INDEX appliances_by_mac ON appliances (mac);

CREATE TABLE grants (
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    seq INTEGER NOT NULL,
    site INTEGER NOT NULL REFERENCES sites (id),
    console INTEGER NOT NULL REFERENCES consoles (id),
    settings TEXT NOT NULL,
    interval_s INTEGER NOT NULL,
    issued INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    configured INTEGER,
    reason TEXT NOT NULL DEFAULT '',
    reported INTEGER,
    PRIMARY KEY (appliance, seq)
) STRICT, WITHOUT ROWID;

-- What each appliance holds in its site. The keys are what makes two appliances with one address impossible.
-- `until` is NULL for settings in force, else the end of the lease.
CREATE TABLE addresses (
    site INTEGER NOT NULL REFERENCES sites (id),
    address INTEGER NOT NULL,
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    until INTEGER,
    PRIMARY KEY (site, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX addresses_by_appliance ON addresses (appliance);

CREATE TABLE host_names (
    site INTEGER NOT NULL REFERENCES sites (id),
    host_name TEXT NOT NULL,
    number INTEGER,
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    until INTEGER,
    PRIMARY KEY (site, host_name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX host_names_by_number ON host_names (site, number) WHERE number IS NOT NULL;
CREATE INDEX host_names_by_appliance ON host_names (appliance);

-- Appended in the order of time, so old rows are the ones with the smallest rowid.
CREATE TABLE beats (
    id INTEGER PRIMARY KEY,
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    time INTEGER NOT NULL,
    report TEXT NOT NULL
) STRICT;
CREATE INDEX beats_by_appliance ON beats (appliance, time);

CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    site INTEGER NOT NULL REFERENCES sites (id),
    kind TEXT NOT NULL,
    opened INTEGER NOT NULL,
    closed INTEGER,
    revision INTEGER NOT NULL
) STRICT;
CREATE INDEX alerts_by_revision ON alerts (revision);
CREATE INDEX alerts_open ON alerts (id) WHERE closed IS NULL;

CREATE TABLE alert_appliances (
    alert INTEGER NOT NULL REFERENCES alerts (id),
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    PRIMARY KEY (alert, appliance)
) STRICT, WITHOUT ROWID;

-- What an organisation says to its sites (decision 0030), and what either says of single models, as JSON.
ALTER TABLE organisations ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';
ALTER TABLE sites ADD COLUMN profiles TEXT NOT NULL DEFAULT '[]';
-- Addresses of the pools that are not given out.
ALTER TABLE sites ADD COLUMN exclude TEXT NOT NULL DEFAULT '';
-- Names of the values that are the organisation's, as JSON. The columns hold what they come to, so that reading a site is one look.
ALTER TABLE sites ADD COLUMN inherit TEXT NOT NULL DEFAULT '[]';

-- What profiles come to in what every beat has to be answered with.
CREATE TABLE site_models (
    site INTEGER NOT NULL REFERENCES sites (id),
    -- In lower case.
    model TEXT NOT NULL,
    beat_interval_s INTEGER NOT NULL,
    drift TEXT,
    PRIMARY KEY (site, model)
) STRICT, WITHOUT ROWID;

-- What is kept in a site for one appliance. One of the first three says which.
CREATE TABLE reservations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    site INTEGER NOT NULL REFERENCES sites (id),
    uid BLOB CHECK (length(uid) = 20),
    mac BLOB CHECK (length(mac) = 6),
    serial TEXT,
    address INTEGER,
    address6 BLOB CHECK (length(address6) = 16),
    host_name TEXT,
    note TEXT NOT NULL DEFAULT '',
    CHECK ((uid IS NOT NULL) + (mac IS NOT NULL) + (serial IS NOT NULL) = 1),
    CHECK (address IS NOT NULL OR address6 IS NOT NULL OR host_name IS NOT NULL),
    UNIQUE (site, uid),
    UNIQUE (site, mac),
    UNIQUE (site, serial),
    UNIQUE (site, address),
    UNIQUE (site, address6),
    UNIQUE (site, host_name)
) STRICT;

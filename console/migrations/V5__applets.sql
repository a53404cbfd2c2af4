-- Applets of the NOC's sites (decision 0043). `noc` is the NOC's root key.

-- The last statement of the NOC which applets there are at a site, as it was signed.
CREATE TABLE applet_list (
    noc    BLOB NOT NULL,
    site   INTEGER NOT NULL,
    -- The highest that was ever taken: an older statement is refused.
    number INTEGER NOT NULL,
    signed BLOB NOT NULL,
    PRIMARY KEY (noc, site)
) STRICT, WITHOUT ROWID;

-- The bundles of those statements, sealed to this console as they came: nobody reads them here without its key.
CREATE TABLE applet_bundle (
    noc        BLOB NOT NULL,
    site       INTEGER NOT NULL,
    hash       BLOB NOT NULL,
    enc        BLOB NOT NULL,
    ciphertext BLOB NOT NULL,
    PRIMARY KEY (noc, site, hash)
) STRICT;

-- The highest floor that was ever named for an applet.
CREATE TABLE applet_floor (
    noc     BLOB NOT NULL,
    name    TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (noc, name)
) STRICT, WITHOUT ROWID;

-- Vendors that sign for their components themselves (decision 0049). Rows stay when a vendor is removed: what appliances have seen
-- of its metadata goes on being listed, and is never numbered again.
CREATE TABLE component_vendors (
    id         INTEGER PRIMARY KEY,
    handle     TEXT NOT NULL UNIQUE,
    -- Public keys, hexadecimal, and names of components: JSON lists.
    keys       TEXT NOT NULL,
    threshold  INTEGER NOT NULL,
    components TEXT NOT NULL,
    added      INTEGER NOT NULL,
    removed    INTEGER,
    -- Its metadata that are in force; none until it has published since it was registered.
    version    INTEGER
) STRICT;
CREATE TABLE component_vendor_metadata (
    vendor  INTEGER NOT NULL REFERENCES component_vendors (id),
    version INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    text    BLOB NOT NULL,
    PRIMARY KEY (vendor, version)
) STRICT, WITHOUT ROWID;
-- Who signs for it; none: the NOC.
ALTER TABLE components ADD COLUMN vendor INTEGER REFERENCES component_vendors (id);

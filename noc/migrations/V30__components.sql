-- The repository that appliances take components from (decision 0044): one row once there is one.
CREATE TABLE component_repository (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    -- Appliances go to one with a higher number, and never back.
    serial    INTEGER NOT NULL,
    root_hash BLOB NOT NULL,
    issued    INTEGER NOT NULL,
    -- The last number of metadata. Numbers follow the clock, so that they go on above what was lost after a restore.
    version   INTEGER NOT NULL
) STRICT;
CREATE TABLE component_roots (
    version INTEGER PRIMARY KEY,
    expires INTEGER NOT NULL,
    text    BLOB NOT NULL
) STRICT;
CREATE TABLE component_metadata (
    -- Whose appliances read it: an organisation that has components of its own, or 0 for all others.
    view    INTEGER NOT NULL,
    name    TEXT NOT NULL,
    version INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    text    BLOB NOT NULL,
    PRIMARY KEY (view, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE components (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Whose it is; none for all organisations.
    organisation INTEGER REFERENCES organisations (id),
    name         TEXT NOT NULL,
    version      TEXT NOT NULL,
    target       TEXT NOT NULL,
    hash         BLOB NOT NULL,
    size         INTEGER NOT NULL,
    -- What the installer has to know, JSON.
    facts        TEXT NOT NULL,
    -- For which it is, JSON lists; empty for all.
    models       TEXT NOT NULL DEFAULT '[]',
    sites        TEXT NOT NULL DEFAULT '[]',
    added        INTEGER NOT NULL,
    retired      INTEGER
) STRICT;
CREATE UNIQUE INDEX components_by_name ON components (name, coalesce(organisation, 0), version);
CREATE TABLE component_channels (
    -- The organisation of its components, or 0.
    owner     INTEGER NOT NULL,
    name      TEXT NOT NULL,
    channel   TEXT NOT NULL,
    component INTEGER NOT NULL REFERENCES components (id),
    PRIMARY KEY (owner, name, channel)
) STRICT, WITHOUT ROWID;

-- Which of them appliances shall have, as JSON.
ALTER TABLE organisations ADD COLUMN components TEXT NOT NULL DEFAULT '{}';
ALTER TABLE sites ADD COLUMN components TEXT NOT NULL DEFAULT '{}';

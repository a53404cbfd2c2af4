-- The library of applets (decision 0043; seed, FIGURE 2, "applet database 14").

-- Whose applets an organisation takes.
CREATE TABLE applet_authors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    name TEXT NOT NULL,
    -- Ed25519 public key.
    key BLOB NOT NULL,
    added INTEGER NOT NULL,
    removed INTEGER
) STRICT;
CREATE UNIQUE INDEX applet_authors_by_key ON applet_authors (organisation, key) WHERE removed IS NULL;

CREATE TABLE applets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    title TEXT NOT NULL,
    author BLOB NOT NULL,
    -- SHA-256 of the bundle.
    hash BLOB NOT NULL,
    -- As its author signed it.
    bundle BLOB NOT NULL,
    published INTEGER NOT NULL,
    -- Nobody gets it any more.
    withdrawn INTEGER
) STRICT;
CREATE UNIQUE INDEX applets_by_version ON applets (organisation, name, version);
CREATE INDEX applets_by_hash ON applets (organisation, hash);

-- What a channel has of an applet.
CREATE TABLE applet_channels (
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    name TEXT NOT NULL,
    channel TEXT NOT NULL CHECK (channel IN ('stable', 'test')),
    version TEXT NOT NULL,
    -- What those consoles have that are not among the `percent`; none: nothing.
    former TEXT,
    percent INTEGER NOT NULL CHECK (percent BETWEEN 1 AND 100),
    changed INTEGER NOT NULL,
    PRIMARY KEY (organisation, name, channel)
) STRICT, WITHOUT ROWID;

-- The lowest version of an applet that may still be used.
CREATE TABLE applet_floors (
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (organisation, name)
) STRICT, WITHOUT ROWID;

-- Sites and consoles that have something else of an applet than the stable channel; of both, the console's counts.
CREATE TABLE applet_places (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    name TEXT NOT NULL,
    site INTEGER REFERENCES sites (id),
    console INTEGER REFERENCES consoles (id),
    channel TEXT NOT NULL CHECK (channel IN ('stable', 'test', 'none')),
    CHECK ((site IS NULL) <> (console IS NULL))
) STRICT;
CREATE UNIQUE INDEX applet_places_by_site ON applet_places (name, site) WHERE site IS NOT NULL;
CREATE UNIQUE INDEX applet_places_by_console ON applet_places (name, console) WHERE console IS NOT NULL;

-- Revision of the last change of any of it.
CREATE TABLE applet_numbers (
    organisation INTEGER PRIMARY KEY REFERENCES organisations (id),
    number INTEGER NOT NULL
) STRICT;

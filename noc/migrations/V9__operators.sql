-- Customers. What was here before belongs to the first of them.
CREATE TABLE organisations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Ends the sign-in names of its operators; never changes.
    handle TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;
INSERT INTO organisations (id, handle, name, created) VALUES (1, 'default', 'Default', unixepoch());

-- The names of sites are unique within their organisation, no longer in all: one customer must not meet another's names. The rows
-- that refer to sites find them again before the transaction ends.
PRAGMA defer_foreign_keys = ON;
CREATE TABLE sites_kept AS SELECT * FROM sites;
DROP TABLE sites;
CREATE TABLE sites (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    name TEXT NOT NULL,
    pool TEXT NOT NULL,
    netmask TEXT NOT NULL,
    gateway TEXT NOT NULL,
    domain TEXT NOT NULL,
    dns1 TEXT NOT NULL,
    dns2 TEXT NOT NULL,
    host_name TEXT NOT NULL,
    beat_interval_s INTEGER NOT NULL,
    confirm TEXT NOT NULL,
    window_s INTEGER NOT NULL,
    pool6 TEXT NOT NULL DEFAULT '',
    gateway6 TEXT NOT NULL DEFAULT '',
    UNIQUE (organisation, name)
) STRICT;
-- Inside the inner queries the last two names mean the columns of V8 where they are, else the outer, empty ones.
INSERT INTO sites (id, organisation, name, pool, netmask, gateway, domain, dns1, dns2, host_name, beat_interval_s, confirm, window_s,
    pool6, gateway6)
    SELECT id, 1, name, pool, netmask, gateway, domain, dns1, dns2, host_name, beat_interval_s, confirm, window_s,
        (SELECT pool6 FROM sites_kept i WHERE i.id = o.id), (SELECT gateway6 FROM sites_kept i WHERE i.id = o.id)
    FROM (SELECT id, name, pool, netmask, gateway, domain, dns1, dns2, host_name, beat_interval_s, confirm, window_s,
        '' AS pool6, '' AS gateway6 FROM sites_kept) o;
DROP TABLE sites_kept;

-- Organisations are never deleted, so nothing is lost without a foreign key, which a column with a default may not have.
ALTER TABLE appliances ADD COLUMN organisation INTEGER NOT NULL DEFAULT 1;
CREATE INDEX appliances_by_organisation ON appliances (organisation, id);
ALTER TABLE consoles ADD COLUMN organisation INTEGER NOT NULL DEFAULT 1;

CREATE TABLE operators (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- NULL for people of the NOC itself.
    organisation INTEGER REFERENCES organisations (id),
    -- What they sign in with: `anna` at the NOC, `anna@acme` in an organisation. So nobody meets another organisation's names.
    login TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- Argon2id, in PHC form.
    password TEXT NOT NULL,
    created INTEGER NOT NULL,
    disabled INTEGER
) STRICT;

-- No organisation: everywhere. No site: in the whole organisation.
CREATE TABLE operator_roles (
    id INTEGER PRIMARY KEY,
    operator INTEGER NOT NULL REFERENCES operators (id),
    organisation INTEGER REFERENCES organisations (id),
    site INTEGER REFERENCES sites (id),
    role TEXT NOT NULL,
    CHECK (organisation IS NOT NULL OR site IS NULL)
) STRICT;
CREATE UNIQUE INDEX operator_roles_once ON operator_roles (operator, coalesce(organisation, 0), coalesce(site, 0));

-- Only hashes of the secrets are kept.
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    operator INTEGER NOT NULL REFERENCES operators (id),
    secret_hash BLOB NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    kind TEXT NOT NULL,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    address TEXT NOT NULL,
    program TEXT NOT NULL,
    revoked INTEGER
) STRICT;
CREATE INDEX sessions_by_operator ON sessions (operator);

CREATE TABLE api_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    operator INTEGER NOT NULL REFERENCES operators (id),
    name TEXT NOT NULL,
    secret_hash BLOB NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    scopes TEXT NOT NULL,
    created INTEGER NOT NULL,
    used INTEGER,
    expires INTEGER NOT NULL,
    revoked INTEGER
) STRICT;
CREATE INDEX api_tokens_by_operator ON api_tokens (operator);

-- Who has seen an alert, and what was said of it.
ALTER TABLE alerts ADD COLUMN acknowledged INTEGER;
ALTER TABLE alerts ADD COLUMN acknowledged_by TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN note TEXT NOT NULL DEFAULT '';

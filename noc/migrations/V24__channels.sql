-- Where an organisation is told of its alerts (decision 0037).
CREATE TABLE channels (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    name TEXT NOT NULL,
    -- JSON: kind and target; apart from it what is never shown again, empty for none.
    target TEXT NOT NULL,
    secret TEXT NOT NULL DEFAULT '',
    -- JSON: kinds of alerts; empty for all.
    kinds TEXT NOT NULL DEFAULT '[]',
    only_escalations INTEGER NOT NULL DEFAULT 0,
    -- JSON: quiet hours.
    quiet TEXT,
    -- The target was set by the NOC's own people: it may be in networks that noc.toml allows.
    is_trusted INTEGER NOT NULL DEFAULT 0,
    is_enabled INTEGER NOT NULL DEFAULT 1,
    made INTEGER NOT NULL,
    removed INTEGER,
    -- When there is something to do for it.
    due INTEGER,
    -- Attempts that failed, one after another, and since when.
    failures INTEGER NOT NULL DEFAULT 0,
    failing_since INTEGER,
    -- The last attempt, and what became of it: the receiver's words, or ours.
    tried INTEGER,
    outcome TEXT NOT NULL DEFAULT '',
    delivered INTEGER
) STRICT;
CREATE INDEX channels_due ON channels (due) WHERE due IS NOT NULL;
CREATE UNIQUE INDEX channels_by_name ON channels (organisation, name) WHERE removed IS NULL;

-- Only alerts of these sites; no row for all.
CREATE TABLE channel_sites (
    channel INTEGER NOT NULL REFERENCES channels (id),
    site INTEGER NOT NULL REFERENCES sites (id),
    PRIMARY KEY (channel, site)
) STRICT, WITHOUT ROWID;

-- What is sent as one: once begun, it is the same events under the same identifier until it is delivered or given up.
CREATE TABLE channel_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel INTEGER NOT NULL REFERENCES channels (id),
    -- What receivers know it by.
    key TEXT NOT NULL UNIQUE,
    made INTEGER NOT NULL,
    -- It holds an escalation: quiet hours do not hold it up.
    is_urgent INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'given_up')),
    decided INTEGER
) STRICT;
CREATE INDEX channel_messages_waiting ON channel_messages (channel, id) WHERE state = 'waiting';
CREATE INDEX channel_messages_decided ON channel_messages (decided) WHERE decided IS NOT NULL;

-- The outbox: an event that a channel has to tell. Written with the event.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel INTEGER NOT NULL REFERENCES channels (id),
    event INTEGER NOT NULL REFERENCES alert_events (id),
    message INTEGER REFERENCES channel_messages (id),
    UNIQUE (channel, event)
) STRICT;
CREATE INDEX deliveries_waiting ON deliveries (channel, id) WHERE message IS NULL;
CREATE INDEX deliveries_by_message ON deliveries (message) WHERE message IS NOT NULL;

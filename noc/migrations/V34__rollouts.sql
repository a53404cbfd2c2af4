-- Components that go out in waves (decision 0048): one row for each change of what a place requires.
CREATE TABLE component_rollouts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    organisation INTEGER NOT NULL REFERENCES organisations (id),
    -- Of what the site says; none for what its organisation says.
    site         INTEGER REFERENCES sites (id),
    name         TEXT NOT NULL,
    -- In lower case; empty for all.
    model        TEXT NOT NULL,
    version      TEXT NOT NULL,
    -- JSON: the waves, times and limit that it began with.
    waves        TEXT NOT NULL,
    -- JSON: what was said before, which it goes back to; null for nothing. And what counts for those that it has not reached.
    former       TEXT NOT NULL,
    layers       TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('running', 'halted', 'done', 'back', 'replaced')),
    -- It decides who has which version; the line by itself does not.
    is_in_force  INTEGER NOT NULL,
    -- JSON: positions up to which each wave reaches that has begun; and when the last began.
    cuts         TEXT NOT NULL DEFAULT '[]',
    begun        INTEGER,
    -- The next wave begins without waiting for this one.
    is_pushed    INTEGER NOT NULL DEFAULT 0,
    why          TEXT NOT NULL DEFAULT '',
    started      INTEGER NOT NULL,
    started_by   TEXT NOT NULL,
    ended        INTEGER,
    -- Counts what appliances have said.
    heard        INTEGER NOT NULL DEFAULT 0,
    -- JSON: how the waves stood when it ended.
    result       TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE UNIQUE INDEX component_rollouts_in_force ON component_rollouts (organisation, coalesce(site, 0), name, model) WHERE is_in_force;
CREATE INDEX component_rollouts_running ON component_rollouts (state) WHERE state = 'running';

-- Appliances of waves that have begun.
CREATE TABLE component_rollout_appliances (
    rollout   INTEGER NOT NULL REFERENCES component_rollouts (id),
    appliance INTEGER NOT NULL REFERENCES appliances (id) ON DELETE CASCADE,
    wave      INTEGER NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('waiting', 'well', 'failed', 'excused', 'absent')),
    since     INTEGER NOT NULL,
    -- When it was asked of it.
    asked     INTEGER NOT NULL,
    -- It was failing before.
    is_ailing INTEGER NOT NULL DEFAULT 0,
    why       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (rollout, appliance)
) STRICT, WITHOUT ROWID;
CREATE INDEX component_rollout_appliances_by_appliance ON component_rollout_appliances (appliance);
CREATE INDEX component_rollout_appliances_by_state ON component_rollout_appliances (rollout, wave, state, since);

-- What organisations and sites say of silence and of health rules, as JSON (decision 0038).
ALTER TABLE organisations ADD COLUMN monitoring TEXT NOT NULL DEFAULT '{}';
ALTER TABLE sites ADD COLUMN monitoring TEXT NOT NULL DEFAULT '{}';
-- Counts changes of it and of maintenance, so that the status daemon reads them again, whichever process changed them.
ALTER TABLE noc ADD COLUMN monitoring INTEGER NOT NULL DEFAULT 0;
-- The health rule that is broken; empty for alerts of silence.
ALTER TABLE alerts ADD COLUMN rule TEXT NOT NULL DEFAULT '';
-- The one appliance that it opened about, however many are attached to it later; none for a site's.
ALTER TABLE alerts ADD COLUMN about INTEGER REFERENCES appliances (id);
UPDATE alerts SET about = (SELECT max(appliance) FROM alert_appliances m WHERE m.alert = alerts.id)
    WHERE (SELECT count(*) FROM alert_appliances m WHERE m.alert = alerts.id) = 1;

-- When nobody is to be told of a site, or of one appliance in it.
CREATE TABLE maintenance (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    site      INTEGER NOT NULL REFERENCES sites (id),
    appliance INTEGER REFERENCES appliances (id),
    starts    INTEGER NOT NULL,
    ends      INTEGER NOT NULL CHECK (ends > starts),
    -- The same again every day or week, counted in whole days of UTC.
    every     TEXT NOT NULL DEFAULT 'once' CHECK (every IN ('once', 'day', 'week')),
    note      TEXT NOT NULL DEFAULT '',
    made      INTEGER NOT NULL,
    made_by   TEXT NOT NULL,
    -- When somebody ended it.
    ended     INTEGER,
    ended_by  TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX maintenance_by_site ON maintenance (site, id);
CREATE INDEX maintenance_kept ON maintenance (id) WHERE ended IS NULL;

-- When the NOC itself was not there to take beats: nobody missed any then.
CREATE TABLE absences (
    id    INTEGER PRIMARY KEY,
    began INTEGER NOT NULL,
    ended INTEGER NOT NULL
) STRICT;
-- The last moment at which it was known to be there.
ALTER TABLE noc ADD COLUMN alive INTEGER;

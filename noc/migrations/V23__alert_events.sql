-- An alert that nobody has acknowledged or silenced for so long is escalated: a site's own value, else its organisation's; NULL in both,
-- or 0, for never.
ALTER TABLE organisations ADD COLUMN escalate_after_s INTEGER;
ALTER TABLE sites ADD COLUMN escalate_after_s INTEGER;

ALTER TABLE alerts ADD COLUMN silenced_until INTEGER;
ALTER TABLE alerts ADD COLUMN silenced_by TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN silence_note TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN escalated INTEGER;
-- When the NOC looks at it by itself: to escalate it, or because its silence ends.
ALTER TABLE alerts ADD COLUMN due INTEGER;
CREATE INDEX alerts_due ON alerts (due) WHERE due IS NOT NULL;
CREATE INDEX alerts_by_site ON alerts (site, id);

-- What became of each alert. Rows are appended, and nothing else.
CREATE TABLE alert_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    alert INTEGER NOT NULL REFERENCES alerts (id),
    time INTEGER NOT NULL,
    what TEXT NOT NULL,
    -- As in the audit log, and as people call them; empty for the NOC itself.
    actor TEXT NOT NULL,
    who TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT '',
    -- Until when it is silent.
    until INTEGER,
    -- Appliances that came with it.
    appliances INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX alert_events_by_alert ON alert_events (alert, id);
CREATE TRIGGER alert_events_are_not_changed BEFORE UPDATE ON alert_events
    BEGIN SELECT raise(ABORT, 'the history of an alert is only appended to'); END;
CREATE TRIGGER alert_events_are_not_deleted BEFORE DELETE ON alert_events
    BEGIN SELECT raise(ABORT, 'the history of an alert is only appended to'); END;

-- What is known of alerts of earlier versions. Who acknowledged is only known by name.
INSERT INTO alert_events (alert, time, what, actor, who, note, appliances)
    SELECT id, opened, 'opened', 'noc', '', '', (SELECT count(*) FROM alert_appliances m WHERE m.alert = a.id) FROM alerts a
    UNION ALL SELECT id, acknowledged, 'acknowledged', '', acknowledged_by, note, 0 FROM alerts WHERE acknowledged IS NOT NULL
    UNION ALL SELECT id, closed, 'resolved', 'noc', '', '', 0 FROM alerts WHERE closed IS NOT NULL
    ORDER BY 2, 1;

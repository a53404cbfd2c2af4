-- The present hand-over of this NOC's appliances to another address or NOC, or the last one.
CREATE TABLE handover (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    serial INTEGER NOT NULL,
    noc TEXT NOT NULL,
    ca_pin BLOB NOT NULL CHECK (length(ca_pin) = 32),
    root BLOB NOT NULL CHECK (length(root) = 32),
    started INTEGER NOT NULL,
    -- When it was called off.
    ended INTEGER,
    -- Since when consoles are sent to the other NOC.
    finished INTEGER
) STRICT;

-- How it stands with each appliance that it was given to.
CREATE TABLE handed_over (
    appliance INTEGER PRIMARY KEY REFERENCES appliances (id),
    serial INTEGER NOT NULL,
    given INTEGER NOT NULL,
    -- Why the appliance does not take it, in its own words.
    problem TEXT NOT NULL DEFAULT '',
    done INTEGER
) STRICT;

-- No instruction or hand-over of this NOC has a number below this one: a NOC before it has given such to the appliance.
ALTER TABLE appliances ADD COLUMN serial_floor INTEGER NOT NULL DEFAULT 0;

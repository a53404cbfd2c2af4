-- Boots of each appliance that another one followed: a beat of one of them is a replay and proves no life.
CREATE TABLE ended_boots (
    id INTEGER PRIMARY KEY,
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    boot BLOB NOT NULL CHECK (length(boot) = 16),
    UNIQUE (appliance, boot)
) STRICT;

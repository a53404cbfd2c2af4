-- How each appliance stood with beats, as spans of time (decision 0040): what reports of availability are made of. No two of an
-- appliance overlap; where there is none, nothing was expected of it.
CREATE TABLE standings (
    site      INTEGER NOT NULL REFERENCES sites (id),
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    since     INTEGER NOT NULL,
    -- None as long as it lasts.
    until     INTEGER CHECK (until > since),
    standing  TEXT NOT NULL CHECK (standing IN ('in_service', 'silent', 'maintenance')),
    PRIMARY KEY (site, appliance, since)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX standings_open ON standings (appliance) WHERE until IS NULL;

-- What was before is not known exactly: alerts do not say when one of several appliances was well again.
INSERT INTO standings (site, appliance, since, standing)
    SELECT site, id, unixepoch(), CASE health WHEN 'silent' THEN 'silent' WHEN 'unreachable' THEN 'silent'
        WHEN 'maintenance' THEN 'maintenance' ELSE 'in_service' END
    FROM appliances WHERE site IS NOT NULL AND applied > 0 AND health NOT IN ('not_expected', 'never_reported');

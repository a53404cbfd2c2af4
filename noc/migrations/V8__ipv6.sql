-- IPv6 beside IPv4 (decision 0023). Empty: the site gives out none.
ALTER TABLE sites ADD COLUMN pool6 TEXT NOT NULL DEFAULT '';
ALTER TABLE sites ADD COLUMN gateway6 TEXT NOT NULL DEFAULT '';

-- As `addresses`: the key is what makes two appliances with one address impossible.
CREATE TABLE addresses6 (
    site INTEGER NOT NULL REFERENCES sites (id),
    address BLOB NOT NULL CHECK (length(address) = 16),
    appliance INTEGER NOT NULL REFERENCES appliances (id),
    until INTEGER,
    PRIMARY KEY (site, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX addresses6_by_appliance ON addresses6 (appliance);

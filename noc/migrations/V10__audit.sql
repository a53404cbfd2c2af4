-- What happened, by whom. Each record's hash covers the record and the hash before it. AUTOINCREMENT remembers the highest number
-- also after its row is gone.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    organisation INTEGER,
    site INTEGER,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_by_organisation ON audit (organisation, seq);

-- The root's word for the hash of a record, and so for all before it.
CREATE TABLE audit_checkpoints (
    seq INTEGER PRIMARY KEY,
    signed BLOB NOT NULL
) STRICT;

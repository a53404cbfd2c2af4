-- Where the audit log begins once its first records were pruned (decision 0033), as the root has signed it.
CREATE TABLE audit_cut (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL,
    signed BLOB NOT NULL
) STRICT;

-- When the last backup was taken: its record may be pruned.
ALTER TABLE noc ADD COLUMN last_backup INTEGER;
UPDATE noc SET last_backup = (SELECT time FROM audit WHERE action = 'backup.take' ORDER BY seq DESC LIMIT 1);

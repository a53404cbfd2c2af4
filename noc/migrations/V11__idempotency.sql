-- Answers to requests that carried an Idempotency-Key, without the secrets in them, for a day.
CREATE TABLE idempotency_keys (
    operator INTEGER NOT NULL REFERENCES operators (id),
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash BLOB NOT NULL CHECK (length(request_hash) = 32),
    made INTEGER NOT NULL,
    -- NULL when the answer held a secret.
    answer TEXT,
    location TEXT NOT NULL,
    PRIMARY KEY (operator, route, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (made);

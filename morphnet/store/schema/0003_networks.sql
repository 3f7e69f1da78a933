-- An addition: a morphnet that knows nothing of it loses no more than the networks behind clients.
-- Networks behind clients that the operator has approved, each for one client; in CIDR notation.
CREATE TABLE IF NOT EXISTS network (
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    PRIMARY KEY (name, prefix)
) STRICT, WITHOUT ROWID;

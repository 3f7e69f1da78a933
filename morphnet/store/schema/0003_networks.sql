-- Networks behind clients that the operator has approved, each for one client; in CIDR notation.
CREATE TABLE network (
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    PRIMARY KEY (name, prefix)
) STRICT, WITHOUT ROWID;

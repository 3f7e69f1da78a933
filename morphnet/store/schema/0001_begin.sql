-- Inner addresses of each client, for good. NULL where a family is off. `session` names the client's session.
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    inner4 TEXT UNIQUE,
    inner6 TEXT UNIQUE,
    session BLOB NOT NULL UNIQUE CHECK (length(session) = 16)
) STRICT;

-- Everything that the CA signed. Times are Unix seconds; 0 means never.
CREATE TABLE certificate (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    serial TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('server', 'client', 'invite')),
    not_after INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL DEFAULT 0,
    used_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX certificate_name ON certificate (name);

-- Bytes to and from each client, ever.
CREATE TABLE traffic (
    name TEXT PRIMARY KEY,
    sent INTEGER NOT NULL,
    received INTEGER NOT NULL
) STRICT;

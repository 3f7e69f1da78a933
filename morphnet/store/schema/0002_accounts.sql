-- Payload to and from each user, by month as in '2026-11' (UTC). '' is what was counted before there were months.
CREATE TABLE month (
    name TEXT NOT NULL,
    month TEXT NOT NULL,
    sent INTEGER NOT NULL,
    received INTEGER NOT NULL,
    PRIMARY KEY (name, month)
) STRICT, WITHOUT ROWID;

INSERT INTO month (name, month, sent, received) SELECT name, '', sent, received FROM traffic;

DROP TABLE traffic;

-- Bytes of each user that are in no report yet.
CREATE TABLE unreported (
    name TEXT PRIMARY KEY,
    sent INTEGER NOT NULL,
    received INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the webhook is to be told, in order. Its key stays the same, however often it is sent; what was tried is never changed.
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(16)))),
    kind TEXT NOT NULL CHECK (kind IN ('server', 'add', 'subtract', 'traffic')),
    name TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0,
    received INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Sessions of which the webhook was told, or will be, that they are there.
CREATE TABLE present (
    session TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- An addition: a morphnet that knows nothing of it lets no phone in.
-- Machines that come by WireGuard. Keys in base64; the phone's private key is the phone's alone. Its addresses are in `lease`.
CREATE TABLE IF NOT EXISTS phone (
    name TEXT PRIMARY KEY,
    public_key TEXT NOT NULL UNIQUE,
    preshared_key TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys by which programs say who they are. Of a key only the sha256 of its secret part is here.
CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    owner        TEXT NOT NULL,            -- the subject for whom it speaks
    name         TEXT NOT NULL,
    digest       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    created_by   TEXT,
    expires_at   TEXT,
    revoked_at   TEXT,
    last_used_at TEXT,
    narrowing    TEXT NOT NULL,            -- JSON: scopes, workspaces, models, networks, and the owner's groups and e-mail
    made_by_key  TEXT                      -- id of the key that made it, which it never exceeds
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX api_keys_by_name ON api_keys (owner, name) WHERE revoked_at IS NULL;

-- Who has which role where. What is revoked stays, as a part of the history.
CREATE TABLE role_bindings (
    id         TEXT PRIMARY KEY,
    principal  TEXT NOT NULL,
    workspace  TEXT NOT NULL,
    role       TEXT NOT NULL,
    granted_by TEXT,
    granted_at TEXT NOT NULL,
    revoked_at TEXT
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX role_bindings_in_force ON role_bindings (workspace, principal, role) WHERE revoked_at IS NULL;

-- Who did what, and who was not allowed to. Each row's hash is that of the one before and of its own words; nothing here
-- is ever changed or removed, which the triggers hold to.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY,
    at         TEXT NOT NULL,
    outcome    TEXT NOT NULL,              -- allowed, refused
    action     TEXT NOT NULL,
    subject    TEXT,
    key_id     TEXT,
    issuer     TEXT,
    address    TEXT,
    request_id TEXT,
    rule       TEXT,
    kind       TEXT,
    workspace  TEXT,
    name       TEXT,
    record_id  TEXT,
    revision   INTEGER,
    detail     TEXT,
    hash       TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_workspace ON audit (workspace, seq);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is never changed'); END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is never removed'); END;

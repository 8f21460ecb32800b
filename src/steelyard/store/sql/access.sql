-- name: put_key
INSERT INTO api_keys (id, owner, name, digest, created_at, created_by, expires_at, narrowing, made_by_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: revoke_key
UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL;

-- name: touch_key
UPDATE api_keys SET last_used_at = ? WHERE id = ?;

-- name: keys
SELECT id, owner, name, digest, created_at, created_by, expires_at, revoked_at, last_used_at, narrowing, made_by_key
FROM api_keys ORDER BY created_at, id;

-- name: key
SELECT id, owner, name, digest, created_at, created_by, expires_at, revoked_at, last_used_at, narrowing, made_by_key
FROM api_keys WHERE id = ?;

-- name: bindings
SELECT id, principal, workspace, role, granted_by, granted_at, revoked_at FROM role_bindings ORDER BY granted_at, id;

-- name: binding
SELECT id, principal, workspace, role, granted_by, granted_at, revoked_at FROM role_bindings WHERE id = ?;

-- name: put_binding
INSERT INTO role_bindings (id, principal, workspace, role, granted_by, granted_at)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: revoke_binding
UPDATE role_bindings SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL;

-- name: revoke_bindings_of_workspace
UPDATE role_bindings SET revoked_at = ? WHERE workspace = ? AND revoked_at IS NULL;

-- name: last_audit
SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1;

-- name: put_audit
INSERT INTO audit (seq, at, outcome, action, subject, key_id, issuer, address, request_id, rule, kind, workspace, name,
                   record_id, revision, detail, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: whole_audit
SELECT seq, at, outcome, action, subject, key_id, issuer, address, request_id, rule, kind, workspace, name, record_id,
       revision, detail, hash
FROM audit ORDER BY seq;

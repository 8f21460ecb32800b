-- name: find
SELECT id, revision, created_at, updated_at, created_by, updated_by, parent, fields
FROM records WHERE kind = ? AND workspace = ? AND name = ?;

-- name: exists
SELECT 1 FROM records WHERE kind = ? AND workspace = ? AND name = ?;

-- name: insert
INSERT INTO records (id, kind, workspace, name, parent, revision, created_at, updated_at, created_by, updated_by, fields,
                     project)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, workspace, name) DO NOTHING;

-- name: update
UPDATE records SET revision = ?, updated_at = ?, updated_by = ?, fields = ? WHERE id = ?;

-- name: set_project
-- Apart from the update: SQLite writes an index again whenever its columns are named, whatever they are set to.
UPDATE records SET project = ? WHERE id = ?;

-- name: delete
DELETE FROM records WHERE id = ?;

-- name: remember_deleted
INSERT INTO deleted (id, kind, workspace, name, parent, revision, created_at, created_by, fields, deleted_at, deleted_with)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: note
INSERT INTO revisions (record_id, kind, workspace, name, revision, action, at, actor, request_id, reason, cause, changed, fields)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: note_workspace_delete
INSERT INTO revisions (record_id, kind, workspace, name, revision, action, at, actor, request_id, reason, cause, changed)
SELECT id, kind, workspace, name, revision + 1, 'delete', ?, ?, ?, ?, ?, '[]' FROM records WHERE workspace = ? ORDER BY seq;

-- name: remember_workspace
INSERT INTO deleted (id, kind, workspace, name, parent, revision, created_at, created_by, fields, deleted_at, deleted_with)
SELECT id, kind, workspace, name, parent, revision + 1, created_at, created_by, fields, ?, ? FROM records WHERE workspace = ?;

-- name: delete_in_workspace
DELETE FROM records WHERE workspace = ?;

-- name: find_deleted
-- The record of that name that was deleted last.
SELECT id, kind, workspace, name, parent, revision, created_at, created_by, fields, deleted_at, deleted_with
FROM deleted WHERE kind = ? AND workspace = ? AND name = ? ORDER BY deleted_at DESC, revision DESC LIMIT 1;

-- name: deleted_with
SELECT id, kind, workspace, name, parent, revision, created_at, created_by, fields, deleted_at, deleted_with
FROM deleted WHERE deleted_with = ? ORDER BY kind, name;

-- name: deleted_in
SELECT id, kind, workspace, name, parent, revision, created_at, created_by, fields, deleted_at, deleted_with
FROM deleted WHERE workspace = ? ORDER BY kind, name;

-- name: deleted_before
SELECT id, kind, workspace, name, parent, revision, created_at, created_by, fields, deleted_at, deleted_with
FROM deleted WHERE deleted_at < ? ORDER BY deleted_at LIMIT ?;

-- name: forget_deleted
DELETE FROM deleted WHERE id = ?;

-- name: forget_revisions
DELETE FROM revisions WHERE record_id = ? AND action <> 'purge';

-- name: revision
SELECT seq, record_id, kind, workspace, name, revision, action, at, actor, request_id, reason, cause, changed, fields
FROM revisions WHERE record_id = ? AND revision = ?;

-- name: revision_at
SELECT seq, record_id, kind, workspace, name, revision, action, at, actor, request_id, reason, cause, changed, fields
FROM revisions WHERE record_id = ? AND at <= ? ORDER BY revision DESC LIMIT 1;

-- name: revisions
SELECT seq, record_id, kind, workspace, name, revision, action, at, actor, request_id, reason, cause, changed, fields
FROM revisions WHERE record_id = ? AND revision <= ? ORDER BY revision DESC LIMIT ?;

-- name: count_revisions
SELECT COUNT(*) FROM revisions WHERE record_id = ?;

-- name: caused
-- The changes that the last delete of a record brought about in others.
SELECT seq, record_id, kind, workspace, name, revision, action, at, actor, request_id, reason, cause, changed, fields
FROM revisions WHERE cause = ?1 AND action = 'update'
AND seq > (SELECT MAX(seq) FROM revisions WHERE record_id = ?1 AND action IN ('create', 'undelete')) ORDER BY seq;

-- name: events
SELECT seq, record_id, kind, workspace, name, revision, action, at, actor, request_id, reason, cause, changed, fields
FROM revisions WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: last_event
SELECT COALESCE(MAX(seq), 0) FROM revisions;

-- name: created
SELECT created_at, created_by FROM records WHERE id = ?1
UNION ALL SELECT created_at, created_by FROM deleted WHERE id = ?1 LIMIT 1;

-- name: sweep_contents
DELETE FROM contents WHERE digest NOT IN (
    SELECT json_extract(fields, '$.spec.linear_layers.sha256') FROM records
    WHERE json_extract(fields, '$.spec.linear_layers.sha256') IS NOT NULL
    UNION SELECT json_extract(fields, '$.spec.linear_layers.sha256') FROM revisions
    WHERE json_extract(fields, '$.spec.linear_layers.sha256') IS NOT NULL
    UNION SELECT json_extract(fields, '$.spec.linear_layers.sha256') FROM deleted
    WHERE json_extract(fields, '$.spec.linear_layers.sha256') IS NOT NULL
);

-- name: find_answer
SELECT asked, status, headers, body FROM answers WHERE scope = ? AND key = ? AND at >= ?;

-- name: keep_answer
INSERT INTO answers (scope, key, asked, at, status, headers, body) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (scope, key) DO UPDATE SET asked = excluded.asked, at = excluded.at, status = excluded.status,
    headers = excluded.headers, body = excluded.body;

-- name: forget_answers
DELETE FROM answers WHERE at < ?;

-- name: link
INSERT OR IGNORE INTO links (source_id, field, target_kind, target_workspace, target_name) VALUES (?, ?, ?, ?, ?);

-- name: unlink
DELETE FROM links WHERE source_id = ?;

-- name: referrers
SELECT r.kind, r.workspace, r.name, r.id, r.revision, r.created_at, r.updated_at, r.created_by, r.updated_by, r.parent,
       r.fields, l.field
FROM links AS l JOIN records AS r ON r.id = l.source_id
WHERE l.target_kind = ? AND l.target_workspace = ? AND l.target_name = ? AND r.id <> ?
ORDER BY r.seq
LIMIT ?;

-- name: count_referrers
SELECT COUNT(DISTINCT l.source_id) FROM links AS l
WHERE l.target_kind = ? AND l.target_workspace = ? AND l.target_name = ? AND l.source_id <> ?;

-- name: workspace_referrers
-- The records of other workspaces that name something which exists in this one.
SELECT DISTINCT r.kind, r.workspace, r.name
FROM records AS t
JOIN links AS l ON l.target_kind = t.kind AND l.target_workspace = t.workspace AND l.target_name = t.name
JOIN records AS r ON r.id = l.source_id
WHERE t.workspace = ? AND r.workspace <> t.workspace
ORDER BY r.kind, r.workspace, r.name;

-- name: children
SELECT kind, workspace, name, id, revision, created_at, updated_at, created_by, updated_by, parent, fields
FROM records WHERE parent = ? ORDER BY seq LIMIT ?;

-- name: put_content
INSERT OR IGNORE INTO contents (digest, body) VALUES (?, ?);

-- name: content
SELECT body FROM contents WHERE digest = ?;

-- name: count
SELECT COALESCE(SUM(number), 0) FROM counts WHERE kind = ? AND workspace = ?;

-- name: count_everywhere
SELECT COALESCE(SUM(number), 0) FROM counts WHERE kind = ?;

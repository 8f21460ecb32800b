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
UPDATE records SET revision = ?, updated_at = ?, updated_by = ?, last_seq = COALESCE(?, last_seq), fields = ?
WHERE id = ?;

-- name: set_project
-- Apart from the update: SQLite writes an index again whenever its columns are named, whatever they are set to.
UPDATE records SET project = ? WHERE id = ?;

-- name: delete
DELETE FROM records WHERE id = ?;

-- name: remember_deleted
INSERT INTO deleted (id, kind, workspace, name, parent, revision, created_at, created_by, last_seq, fields, deleted_at,
                     deleted_with)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, (SELECT last_seq FROM records WHERE id = ?1), ?9, ?10, ?11);

-- name: note
INSERT INTO revisions (record_id, kind, workspace, name, revision, action, at, actor, request_id, reason, cause, changed,
                       fields, previous)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
        COALESCE((SELECT last_seq FROM records WHERE id = ?1), (SELECT MAX(seq) FROM last_changes WHERE record_id = ?1)));

-- name: note_workspace_delete
INSERT INTO revisions (record_id, kind, workspace, name, revision, action, at, actor, request_id, reason, cause, changed,
                       previous)
SELECT id, kind, workspace, name, revision + 1, 'delete', ?, ?, ?, ?, ?, '[]',
       COALESCE(last_seq, (SELECT MAX(l.seq) FROM landmarks AS l WHERE l.record_id = records.id))
FROM records WHERE workspace = ? ORDER BY seq;

-- name: remember_workspace
INSERT INTO deleted (id, kind, workspace, name, parent, revision, created_at, created_by, last_seq, fields, deleted_at,
                     deleted_with)
SELECT id, kind, workspace, name, parent, revision + 1, created_at, created_by, last_seq, fields, ?, ?
FROM records WHERE workspace = ?;

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
WITH RECURSIVE back (seq, previous) AS (
    SELECT seq, previous FROM revisions WHERE seq = (SELECT MAX(seq) FROM last_changes WHERE record_id = ?)
    UNION ALL SELECT r.seq, r.previous FROM back AS b JOIN revisions AS r ON r.seq = b.previous
)
DELETE FROM revisions WHERE seq IN (SELECT seq FROM back) AND action <> 'purge';

-- name: revision
-- From the nearest landmark at or after it back to it, or from the last change if there is none.
WITH RECURSIVE back (seq, revision, previous) AS (
    SELECT seq, revision, previous FROM revisions WHERE seq = COALESCE(
        (SELECT seq FROM landmarks WHERE record_id = ?1 AND revision >= ?2 ORDER BY revision LIMIT 1),
        (SELECT MAX(seq) FROM last_changes WHERE record_id = ?1))
    UNION ALL
    SELECT r.seq, r.revision, r.previous FROM back AS b JOIN revisions AS r ON r.seq = b.previous WHERE b.revision > ?2
)
SELECT r.seq, r.record_id, r.kind, r.workspace, r.name, r.revision, r.action, r.at, r.actor, r.request_id, r.reason, r.cause,
       r.changed, r.fields
FROM back AS b CROSS JOIN revisions AS r ON r.seq = b.seq WHERE b.revision = ?2;

-- name: revision_at
WITH RECURSIVE back (seq, at, previous) AS (
    SELECT seq, at, previous FROM revisions WHERE seq = COALESCE(
        (SELECT seq FROM landmarks WHERE record_id = ?1 AND at > ?2 ORDER BY revision LIMIT 1),
        (SELECT MAX(seq) FROM last_changes WHERE record_id = ?1))
    UNION ALL
    SELECT r.seq, r.at, r.previous FROM back AS b JOIN revisions AS r ON r.seq = b.previous WHERE b.at > ?2
)
SELECT r.seq, r.record_id, r.kind, r.workspace, r.name, r.revision, r.action, r.at, r.actor, r.request_id, r.reason, r.cause,
       r.changed, r.fields
FROM back AS b CROSS JOIN revisions AS r ON r.seq = b.seq WHERE b.at <= ?2 LIMIT 1;

-- name: revisions
-- They come in the order of the steps, the newest first.
WITH RECURSIVE back (seq, revision, previous) AS (
    SELECT seq, revision, previous FROM revisions WHERE seq = COALESCE(
        (SELECT seq FROM landmarks WHERE record_id = ?1 AND revision >= ?2 ORDER BY revision LIMIT 1),
        (SELECT MAX(seq) FROM last_changes WHERE record_id = ?1))
    UNION ALL
    SELECT r.seq, r.revision, r.previous FROM back AS b JOIN revisions AS r ON r.seq = b.previous
)
SELECT r.seq, r.record_id, r.kind, r.workspace, r.name, r.revision, r.action, r.at, r.actor, r.request_id, r.reason, r.cause,
       r.changed, r.fields
FROM back AS b CROSS JOIN revisions AS r ON r.seq = b.seq WHERE b.revision <= ?2 LIMIT ?3;

-- name: count_revisions
WITH RECURSIVE back (previous) AS (
    SELECT previous FROM revisions WHERE seq = (SELECT MAX(seq) FROM last_changes WHERE record_id = ?)
    UNION ALL SELECT r.previous FROM back AS b JOIN revisions AS r ON r.seq = b.previous
)
SELECT COUNT(*) FROM back;

-- name: caused
-- The changes that the last delete of a record brought about in others.
SELECT seq, record_id, kind, workspace, name, revision, action, at, actor, request_id, reason, cause, changed, fields
FROM revisions WHERE cause = ?1 AND action = 'update'
AND seq > (SELECT MAX(seq) FROM landmarks WHERE record_id = ?1 AND action IN ('create', 'undelete')) ORDER BY seq;

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
    UNION SELECT json_extract(body, '$.spec.linear_layers.sha256') FROM inspections
    WHERE json_extract(body, '$.spec.linear_layers.sha256') IS NOT NULL
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

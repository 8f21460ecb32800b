-- name: find
SELECT id, revision, created_at, updated_at, created_by, updated_by, parent, fields
FROM records WHERE kind = ? AND workspace = ? AND name = ?;

-- name: exists
SELECT 1 FROM records WHERE kind = ? AND workspace = ? AND name = ?;

-- name: insert
INSERT INTO records (id, kind, workspace, name, parent, revision, created_at, updated_at, created_by, updated_by, fields)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, workspace, name) DO NOTHING;

-- name: update
UPDATE records SET revision = ?, updated_at = ?, updated_by = ?, fields = ? WHERE id = ?;

-- name: delete
DELETE FROM records WHERE id = ?;

-- name: delete_in_workspace
DELETE FROM records WHERE workspace = ?;

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

-- name: put_content
INSERT OR IGNORE INTO contents (digest, body) VALUES (?, ?);

-- name: content
SELECT body FROM contents WHERE digest = ?;

-- name: count
SELECT COALESCE(SUM(number), 0) FROM counts WHERE kind = ? AND workspace = ?;

-- name: count_everywhere
SELECT COALESCE(SUM(number), 0) FROM counts WHERE kind = ?;

-- name: base_models
-- The chain of base models above a model, nearest first; it ends where a model is missing or has no base.
WITH RECURSIVE chain (workspace, name, depth) AS (
    VALUES (?, ?, 0)
    UNION
    SELECT l.target_workspace, l.target_name, chain.depth + 1
    FROM chain
    JOIN records AS r ON r.kind = 'model' AND r.workspace = chain.workspace AND r.name = chain.name
    JOIN links AS l ON l.source_id = r.id AND l.field = 'base_model'
    WHERE chain.depth < 1000
)
SELECT workspace, name FROM chain ORDER BY depth;

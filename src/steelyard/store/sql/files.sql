-- name: head_commit
SELECT fileset_id, number, id, parent, at, actor, message, revision, content
FROM commits WHERE fileset_id = ? ORDER BY number DESC LIMIT 1;

-- name: commit_of_id
SELECT fileset_id, number, id, parent, at, actor, message, revision, content
FROM commits WHERE fileset_id = ? AND id = ? ORDER BY number DESC LIMIT 1;

-- name: commits
SELECT fileset_id, number, id, parent, at, actor, message, revision, content
FROM commits WHERE fileset_id = ? AND number <= ? ORDER BY number DESC LIMIT ?;

-- name: put_commit
INSERT INTO commits (fileset_id, number, id, parent, at, actor, message, revision, content)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: set_commit_content
UPDATE commits SET content = ? WHERE fileset_id = ? AND number = ?;

-- name: file_at
SELECT f.path, f.digest, f.size, f.since, f.at, f.remote, b.facts, b.state
FROM files AS f LEFT JOIN blobs AS b ON b.digest = f.digest
WHERE f.fileset_id = ?1 AND f.path = ?2 AND f.since <= ?3 AND (f.until IS NULL OR f.until > ?3);

-- name: files_at
-- In the order of their paths, those whose path is at least `?3` and less than `?4`. (Two lower bounds would be one too
-- many: the index is searched by the first that is written, and the other tried on each row.)
SELECT f.path, f.digest, f.size, f.since, f.at, f.remote, b.facts, b.state
FROM files AS f LEFT JOIN blobs AS b ON b.digest = f.digest
WHERE f.fileset_id = ?1 AND f.path >= ?3 AND f.path < ?4
AND f.since <= ?2 AND (f.until IS NULL OR f.until > ?2)
ORDER BY f.path LIMIT ?5;

-- name: close_file
UPDATE files SET until = ? WHERE fileset_id = ? AND path = ? AND until IS NULL;

-- name: put_file
INSERT INTO files (fileset_id, path, since, digest, size, at, remote) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: set_file_digest
UPDATE files SET digest = ?, size = ? WHERE fileset_id = ? AND path = ? AND since = ? AND digest IS NULL;

-- name: forget_files
DELETE FROM files WHERE fileset_id = ?;

-- name: forget_commits
DELETE FROM commits WHERE fileset_id = ?;

-- name: forget_replaced_files
DELETE FROM files WHERE (fileset_id, path, since) IN (
    SELECT f.fileset_id, f.path, f.since FROM files AS f
    JOIN commits AS c ON c.fileset_id = f.fileset_id AND c.number = f.until
    WHERE f.until IS NOT NULL AND c.at < ? LIMIT ?
);

-- name: blob
SELECT digest, size, state, seen_at, facts FROM blobs WHERE digest = ?;

-- name: put_blob
INSERT INTO blobs (digest, size, state, seen_at, facts) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (digest) DO UPDATE SET seen_at = max(seen_at, ?4), facts = ?5,
    state = CASE WHEN state = 'live' THEN 'live' ELSE ?3 END;

-- name: touch_blob
UPDATE blobs SET seen_at = ? WHERE digest = ? AND state = 'live';

-- name: claim_blob
INSERT INTO claims (digest, workspace, at) VALUES (?1, ?2, ?3)
ON CONFLICT (digest, workspace) DO UPDATE SET at = max(at, ?3);

-- name: workspace_has
-- Whether a workspace has sent those bytes lately, or one of its filesets names them at any commit.
SELECT EXISTS (SELECT 1 FROM claims WHERE digest = ?1 AND workspace = ?2 AND at >= ?3)
OR EXISTS (
    SELECT 1 FROM files AS f JOIN records AS r ON r.id = f.fileset_id WHERE f.digest = ?1 AND r.workspace = ?2
);

-- name: mark_garbage
UPDATE blobs SET state = 'deleting' WHERE digest = ?1 AND seen_at < ?2
AND NOT EXISTS (SELECT 1 FROM files AS f WHERE f.digest = ?1)
AND NOT EXISTS (SELECT 1 FROM claims AS c WHERE c.digest = ?1 AND c.at >= ?2);

-- name: set_blob_state
UPDATE blobs SET state = ?2 WHERE digest = ?1 AND state IN ('live', 'corrupt');

-- name: unused_blobs
-- Bytes after the digest `?2` that nothing names, claims or has asked for since a time.
SELECT b.digest FROM blobs AS b
WHERE b.digest > ?2 AND b.seen_at < ?1 AND b.state <> 'deleting'
AND NOT EXISTS (SELECT 1 FROM files AS f WHERE f.digest = b.digest)
AND NOT EXISTS (SELECT 1 FROM claims AS c WHERE c.digest = b.digest AND c.at >= ?1)
ORDER BY b.digest LIMIT ?3;

-- name: garbage
SELECT digest FROM blobs WHERE state = 'deleting' ORDER BY digest LIMIT ?;

-- name: forget_blob
DELETE FROM blobs WHERE digest = ? AND state = 'deleting';

-- name: forget_claims
DELETE FROM claims WHERE at < ?;

-- name: blobs_from
SELECT digest, size, state, seen_at, facts FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?;

-- name: blob_users
-- The filesets that name those bytes, at any commit.
SELECT DISTINCT r.workspace, r.name, f.path FROM files AS f JOIN records AS r ON r.id = f.fileset_id
WHERE f.digest = ? ORDER BY 1, 2, 3 LIMIT ?;

-- name: inspection
SELECT version, at, body FROM inspections WHERE content = ?;

-- name: put_inspection
INSERT INTO inspections (content, version, at, body) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (content) DO UPDATE SET version = ?2, at = ?3, body = ?4;

-- name: forget_inspections
DELETE FROM inspections WHERE content NOT IN (SELECT content FROM commits WHERE content IS NOT NULL) AND at < ?;

-- name: filesets_ahead
-- Filesets with files, at another commit than the one at which the spec of one of their models was read.
SELECT DISTINCT f.workspace, f.name
FROM links AS l
JOIN records AS m ON m.id = l.source_id AND m.kind = 'model'
JOIN records AS f ON f.kind = 'fileset' AND f.workspace = l.target_workspace AND f.name = l.target_name
WHERE l.field = 'fileset' AND l.target_kind = 'fileset' AND json_extract(f.fields, '$.file_count') > 0
AND json_extract(f.fields, '$.commit') IS NOT json_extract(m.fields, '$.spec_origin.commit')
LIMIT ?;

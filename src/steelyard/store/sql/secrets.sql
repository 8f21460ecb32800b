-- Secrets stand as tokens `v2.<id of the master key, 8 digits>.…` at a path of the fields of a kind. Those at a path that
-- another master key sealed (?4), or all (?4 is empty), up to a number of them after a place.

-- name: sealed_records
SELECT id, id, kind, workspace, name, fields FROM records
WHERE id > ?1 AND kind = ?2 AND json_extract(fields, ?3) IS NOT NULL
      AND (?4 = '' OR substr(json_extract(fields, ?3), 4, 8) <> ?4)
ORDER BY id LIMIT ?5;

-- name: sealed_deleted
SELECT id, id, kind, workspace, name, fields FROM deleted
WHERE id > ?1 AND kind = ?2 AND json_extract(fields, ?3) IS NOT NULL
      AND (?4 = '' OR substr(json_extract(fields, ?3), 4, 8) <> ?4)
ORDER BY id LIMIT ?5;

-- name: sealed_revisions
SELECT seq, record_id, kind, workspace, name, fields FROM revisions
WHERE seq > ?1 AND kind = ?2 AND json_extract(fields, ?3) IS NOT NULL
      AND (?4 = '' OR substr(json_extract(fields, ?3), 4, 8) <> ?4)
ORDER BY seq LIMIT ?5;

-- name: sealed_record
SELECT id, id, kind, workspace, name, fields FROM records WHERE id = ?;

-- name: sealed_deleted_record
SELECT id, id, kind, workspace, name, fields FROM deleted WHERE id = ?;

-- name: sealed_revision
SELECT seq, record_id, kind, workspace, name, fields FROM revisions WHERE seq = ? AND fields IS NOT NULL;

-- name: put_sealed_record
UPDATE records SET fields = ? WHERE id = ?;

-- name: put_sealed_deleted_record
UPDATE deleted SET fields = ? WHERE id = ?;

-- name: put_sealed_revision
UPDATE revisions SET fields = ? WHERE seq = ?;

-- name: sealing_keys
-- The ids of the master keys that sealed what stands at a path, anywhere.
SELECT substr(json_extract(fields, ?2), 4, 8) FROM records
WHERE kind = ?1 AND json_extract(fields, ?2) IS NOT NULL
UNION SELECT substr(json_extract(fields, ?2), 4, 8) FROM deleted
WHERE kind = ?1 AND json_extract(fields, ?2) IS NOT NULL
UNION SELECT substr(json_extract(fields, ?2), 4, 8) FROM revisions
WHERE kind = ?1 AND json_extract(fields, ?2) IS NOT NULL;

-- A change of a record writes fewer pages.

-- A generated column would do for the project, but its index is written by every change of any field; a column of its own
-- is written when the project changes (`set_project`).
DROP INDEX records_by_project;
ALTER TABLE records DROP COLUMN project;
ALTER TABLE records ADD COLUMN project TEXT;  -- as in `fields`, for the index
UPDATE records SET project = json_extract(fields, '$.project');
CREATE INDEX records_by_project ON records (workspace, project);

-- An index over all revisions would have a page written for nearly every change, for the sake of seldom asked questions.
-- So each names the one before it of its record, and only some, the landmarks, are indexed: from the nearest of them it
-- is 16 steps at most to any other.
ALTER TABLE records ADD COLUMN last_seq INTEGER;  -- revisions.seq of its last change, once it has been updated
ALTER TABLE deleted ADD COLUMN last_seq INTEGER;  -- as the record had it
ALTER TABLE revisions ADD COLUMN previous INTEGER;  -- seq of the change before this one of the same record
UPDATE revisions SET previous = (
    SELECT MAX(p.seq) FROM revisions AS p WHERE p.record_id = revisions.record_id AND p.revision < revisions.revision
);
UPDATE records SET last_seq = (SELECT MAX(r.seq) FROM revisions AS r WHERE r.record_id = records.id);
UPDATE deleted SET last_seq = (SELECT MAX(r.seq) FROM revisions AS r WHERE r.record_id = deleted.id);
DROP INDEX revisions_of_record;
CREATE UNIQUE INDEX landmarks_of_record ON revisions (record_id, revision) WHERE revision % 16 = 0 OR action <> 'update';

CREATE VIEW landmarks AS
SELECT seq, record_id, revision, action, at FROM revisions WHERE revision % 16 = 0 OR action <> 'update';

-- The last change of a record, deleted or not, is the newest of these.
CREATE VIEW last_changes AS
SELECT id AS record_id, last_seq AS seq FROM records
UNION ALL SELECT id, last_seq FROM deleted
UNION ALL SELECT record_id, seq FROM landmarks;

-- Every change of every record, in the order in which they became durable: the history of a record, and the feed.
-- `fields` is the record's state after the change (NULL for a delete), so that any revision is one row away.
-- The last number is never given twice: a purge, which removes rows, adds one of its own.
CREATE TABLE revisions (
    seq        INTEGER PRIMARY KEY,
    record_id  TEXT NOT NULL,
    kind       TEXT NOT NULL,
    workspace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    action     TEXT NOT NULL,            -- create, update, revert, delete, undelete, purge
    at         TEXT NOT NULL,
    actor      TEXT,
    request_id TEXT,
    reason     TEXT,
    cause      TEXT,                     -- id of the record whose delete or undelete brought this change about
    changed    TEXT NOT NULL,            -- JSON array of field names
    fields     TEXT
) STRICT;

CREATE UNIQUE INDEX revisions_of_record ON revisions (record_id, revision);
CREATE INDEX revisions_by_cause ON revisions (cause) WHERE cause IS NOT NULL;

-- What is deleted, until it is undeleted or its time is over.
CREATE TABLE deleted (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    workspace    TEXT NOT NULL,
    name         TEXT NOT NULL,
    parent       TEXT,
    revision     INTEGER NOT NULL,       -- of the delete
    created_at   TEXT NOT NULL,
    created_by   TEXT,
    fields       TEXT NOT NULL,
    deleted_at   TEXT NOT NULL,
    deleted_with TEXT                    -- id of the record with which it went, for the contents of a workspace
) STRICT, WITHOUT ROWID;

CREATE INDEX deleted_by_name ON deleted (kind, workspace, name, deleted_at);
CREATE INDEX deleted_by_time ON deleted (deleted_at);
CREATE INDEX deleted_together ON deleted (deleted_with) WHERE deleted_with IS NOT NULL;

-- The first state of the records that were there before there was a history.
INSERT INTO revisions (record_id, kind, workspace, name, revision, action, at, actor, changed, fields)
SELECT id, kind, workspace, name, revision, CASE revision WHEN 1 THEN 'create' ELSE 'update' END, updated_at, updated_by,
       '[]', fields
FROM records ORDER BY seq;

-- The answers to writes that carried an Idempotency-Key, for as long as they can be asked for again.
CREATE TABLE answers (
    scope      TEXT NOT NULL,            -- who asked, and for what: caller, method and path
    key        TEXT NOT NULL,
    asked      TEXT NOT NULL,            -- sha256 of what was asked: query, conditions and body
    at         TEXT NOT NULL,
    status     INTEGER NOT NULL,
    headers    TEXT NOT NULL,            -- JSON array of pairs
    body       TEXT NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX answers_by_time ON answers (at);

-- Bytes by their sha256, which `blobs/` keeps; this table is the truth about which of them may be named.
CREATE TABLE blobs (
    digest  TEXT PRIMARY KEY,
    size    INTEGER NOT NULL,
    state   TEXT NOT NULL,               -- arriving (being stored), live, corrupt, deleting (being swept)
    seen_at TEXT NOT NULL,               -- when it was last uploaded, or asked for by somebody who means to name it
    facts   TEXT NOT NULL                -- JSON: what is known of the content, whatever its name
) STRICT, WITHOUT ROWID;

CREATE INDEX blobs_by_time ON blobs (seen_at) WHERE state <> 'live';

-- Which workspace has sent which bytes: only they, and what stands in its filesets, may be named without sending them.
CREATE TABLE claims (
    digest    TEXT NOT NULL,
    workspace TEXT NOT NULL,
    at        TEXT NOT NULL,
    PRIMARY KEY (digest, workspace)
) STRICT, WITHOUT ROWID;

CREATE INDEX claims_by_time ON claims (at);

-- Each change of the files of a fileset. Number 0 is the empty state with which it begins.
CREATE TABLE commits (
    fileset_id TEXT NOT NULL,
    number     INTEGER NOT NULL,
    id         TEXT NOT NULL,
    parent     TEXT,
    at         TEXT NOT NULL,
    actor      TEXT,
    message    TEXT,
    revision   INTEGER NOT NULL,         -- of the fileset's record
    content    TEXT,                     -- digest of all paths and contents, once it was computed
    PRIMARY KEY (fileset_id, number)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX commits_by_id ON commits (fileset_id, id, number);

-- A file from the commit `since` until before the commit `until` (NULL: it is there now). The digest is NULL while the
-- bytes are only at the source that `remote` (JSON) tells of.
CREATE TABLE files (
    fileset_id TEXT NOT NULL,
    path       TEXT NOT NULL,
    since      INTEGER NOT NULL,
    until      INTEGER,
    digest     TEXT,
    size       INTEGER NOT NULL,
    at         TEXT NOT NULL,
    remote     TEXT,
    PRIMARY KEY (fileset_id, path, since)
) STRICT, WITHOUT ROWID;

CREATE INDEX files_by_digest ON files (digest, fileset_id) WHERE digest IS NOT NULL;
CREATE INDEX files_replaced ON files (fileset_id, until) WHERE until IS NOT NULL;

-- What a reader of checkpoints said of a content, once.
CREATE TABLE inspections (
    content TEXT PRIMARY KEY,
    version INTEGER NOT NULL,            -- of the reader
    at      TEXT NOT NULL,
    body    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Workspaces of before they could have a policy of their own.
UPDATE records SET fields = json_set(fields, '$.file_policy', NULL) WHERE kind = 'workspace';
UPDATE deleted SET fields = json_set(fields, '$.file_policy', NULL) WHERE kind = 'workspace';
UPDATE revisions SET fields = json_set(fields, '$.file_policy', NULL) WHERE kind = 'workspace' AND fields IS NOT NULL;

-- Models of before there were adapters and origins of specs.
UPDATE records SET fields = json_set(fields, '$.adapters', json('[]'), '$.spec_origin', NULL, '$.trust_decision', NULL)
WHERE kind = 'model';
UPDATE deleted SET fields = json_set(fields, '$.adapters', json('[]'), '$.spec_origin', NULL, '$.trust_decision', NULL)
WHERE kind = 'model';
UPDATE revisions SET fields = json_set(fields, '$.adapters', json('[]'), '$.spec_origin', NULL, '$.trust_decision', NULL)
WHERE kind = 'model' AND fields IS NOT NULL;

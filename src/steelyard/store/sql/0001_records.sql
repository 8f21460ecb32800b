-- One table holds every kind of record. `fields` is the JSON of what is particular to the kind; what lists are sorted,
-- found and joined by stands in columns of its own. Timestamps are RFC 3339 in UTC with six decimals and a Z, so that
-- the order of the text is the order of time.
CREATE TABLE records (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL CONSTRAINT records_id UNIQUE,
    kind       TEXT NOT NULL,
    workspace  TEXT NOT NULL,            -- '' for workspaces themselves
    name       TEXT NOT NULL,
    parent     TEXT,                     -- id of the model that an adapter belongs to
    revision   INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    created_by TEXT,
    updated_by TEXT,
    fields     TEXT NOT NULL,
    project    TEXT GENERATED ALWAYS AS (json_extract(fields, '$.project')) VIRTUAL,
    CONSTRAINT records_name UNIQUE (kind, workspace, name)
) STRICT;

-- There is none by updated_at: it would be written by each change, for the sake of few lists.
CREATE INDEX records_by_creation ON records (kind, workspace, created_at, id);
CREATE INDEX records_by_project ON records (workspace, project);
CREATE INDEX records_by_parent ON records (parent) WHERE parent IS NOT NULL;

-- Which record names which other one, by name: a target may be missing, or be made later.
CREATE TABLE links (
    source_id        TEXT NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    field            TEXT NOT NULL,
    target_kind      TEXT NOT NULL,
    target_workspace TEXT NOT NULL,
    target_name      TEXT NOT NULL,
    PRIMARY KEY (source_id, field, target_kind, target_workspace, target_name)
) STRICT, WITHOUT ROWID;

CREATE INDEX links_by_target ON links (target_kind, target_workspace, target_name);

-- How many records of a kind a workspace has, kept by the triggers below: a list's total without counting its rows.
CREATE TABLE counts (
    kind      TEXT NOT NULL,
    workspace TEXT NOT NULL,
    number    INTEGER NOT NULL,
    PRIMARY KEY (kind, workspace)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER records_count_insert AFTER INSERT ON records BEGIN
    INSERT INTO counts (kind, workspace, number) VALUES (new.kind, new.workspace, 1)
    ON CONFLICT (kind, workspace) DO UPDATE SET number = number + 1;
END;

CREATE TRIGGER records_count_delete AFTER DELETE ON records BEGIN
    UPDATE counts SET number = number - 1 WHERE kind = old.kind AND workspace = old.workspace;
END;

-- Large values that are seldom read (a spec's linear layers), by the sha256 of their JSON; a record holds the digest.
CREATE TABLE contents (
    digest TEXT PRIMARY KEY,
    body   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What was used, a row for each request for inference. Rows of a workspace outlive it: they are accounts.
CREATE TABLE usage (
    seq              INTEGER PRIMARY KEY,
    at               INTEGER NOT NULL,   -- when it ended, in microseconds since 1970
    request_id       TEXT NOT NULL,
    workspace        TEXT NOT NULL,
    model            TEXT NOT NULL,      -- workspace/name
    route            TEXT NOT NULL,      -- the name that was asked for
    provider         TEXT,
    dialect          TEXT NOT NULL,
    upstream_dialect TEXT,
    stream           INTEGER NOT NULL,
    status           INTEGER NOT NULL,
    error            TEXT,
    input            INTEGER,
    output           INTEGER,
    cached_input     INTEGER NOT NULL,
    cache_write      INTEGER NOT NULL,
    reasoning        INTEGER NOT NULL,
    cost             REAL,
    currency         TEXT NOT NULL,
    latency_ms       REAL NOT NULL,
    first_token_ms   REAL,
    attempts         INTEGER NOT NULL,
    cache            TEXT,
    "key"            TEXT,
    caller           TEXT
) STRICT;

CREATE INDEX usage_by_workspace ON usage (workspace, at);
CREATE INDEX usage_by_time ON usage (at);

-- What was spent on each day. It outlives the rows, because budgets for a month, or for ever, are summed from it.
CREATE TABLE usage_days (
    day       TEXT NOT NULL,             -- 2026-01-31 (UTC); 2026-01 where the days of a month have been put together
    workspace TEXT NOT NULL,
    model     TEXT NOT NULL,
    "key"     TEXT NOT NULL,             -- '' for none
    currency  TEXT NOT NULL,
    cost      REAL NOT NULL,
    PRIMARY KEY (day, workspace, model, "key", currency)
) STRICT, WITHOUT ROWID;

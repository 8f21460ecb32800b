-- How far each webhook has come. It goes with its record, and is made anew when deliveries start.
CREATE TABLE webhook_states (
    webhook_id      TEXT PRIMARY KEY REFERENCES records (id) ON DELETE CASCADE,
    cursor          INTEGER NOT NULL,    -- revisions.seq of the last change that is settled
    failures        INTEGER NOT NULL,    -- attempts in a row that failed
    failing_since   TEXT,
    next_attempt_at TEXT,
    last_attempt_at TEXT,
    last_success_at TEXT,
    last_status     INTEGER,
    last_error      TEXT,
    disabled_reason TEXT
) STRICT, WITHOUT ROWID;

-- One message to one webhook, however often it was tried; the newest of each webhook are kept.
CREATE TABLE webhook_deliveries (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id      TEXT NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    message_id      TEXT NOT NULL,
    event           TEXT NOT NULL,
    seq             INTEGER,             -- revisions.seq of the change, NULL for a ping
    "trigger"       TEXT NOT NULL,       -- feed, redelivery, ping
    outcome         TEXT NOT NULL,       -- waiting, retrying, delivered, failed
    attempts        INTEGER NOT NULL,
    created_at      TEXT NOT NULL,
    status          INTEGER,
    error           TEXT,
    last_attempt_at TEXT,
    next_attempt_at TEXT
) STRICT;

CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, number);
-- The feed delivers a change once; by hand it may be sent again.
CREATE UNIQUE INDEX webhook_deliveries_of_feed ON webhook_deliveries (webhook_id, seq) WHERE "trigger" = 'feed';
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (number) WHERE outcome = 'waiting';

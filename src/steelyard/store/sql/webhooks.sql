-- name: followers
SELECT r.workspace, r.name, r.id, r.revision, r.fields, s.webhook_id, s.cursor, s.failures, s.failing_since,
       s.next_attempt_at, s.last_attempt_at, s.last_success_at, s.last_status, s.last_error, s.disabled_reason
FROM records AS r LEFT JOIN webhook_states AS s ON s.webhook_id = r.id
WHERE r.kind = 'webhook';

-- name: webhook_state
SELECT webhook_id, cursor, failures, failing_since, next_attempt_at, last_attempt_at, last_success_at, last_status,
       last_error, disabled_reason
FROM webhook_states WHERE webhook_id = ?;

-- name: webhook_start
-- The change that made the webhook, or brought it back.
SELECT seq FROM landmarks WHERE record_id = ? AND action IN ('create', 'undelete') ORDER BY revision DESC LIMIT 1;

-- name: put_webhook_state
INSERT INTO webhook_states (webhook_id, cursor, failures, failing_since, next_attempt_at, last_attempt_at,
                            last_success_at, last_status, last_error, disabled_reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (webhook_id) DO UPDATE SET cursor = excluded.cursor, failures = excluded.failures,
    failing_since = excluded.failing_since, next_attempt_at = excluded.next_attempt_at,
    last_attempt_at = excluded.last_attempt_at, last_success_at = excluded.last_success_at,
    last_status = excluded.last_status, last_error = excluded.last_error, disabled_reason = excluded.disabled_reason;

-- name: deliveries
SELECT number, webhook_id, message_id, event, seq, "trigger", outcome, attempts, created_at, status, error,
       last_attempt_at, next_attempt_at
FROM webhook_deliveries WHERE webhook_id = ? AND number <= ? ORDER BY number DESC LIMIT ?;

-- name: count_deliveries
SELECT COUNT(*) FROM webhook_deliveries WHERE webhook_id = ?;

-- name: find_delivery
SELECT number, webhook_id, message_id, event, seq, "trigger", outcome, attempts, created_at, status, error,
       last_attempt_at, next_attempt_at
FROM webhook_deliveries WHERE webhook_id = ? AND seq = ? AND "trigger" = 'feed';

-- name: waiting_deliveries
SELECT number, webhook_id, message_id, event, seq, "trigger", outcome, attempts, created_at, status, error,
       last_attempt_at, next_attempt_at
FROM webhook_deliveries WHERE outcome = 'waiting' ORDER BY number LIMIT ?;

-- name: insert_delivery
INSERT INTO webhook_deliveries (webhook_id, message_id, event, seq, "trigger", outcome, attempts, created_at, status,
                                error, last_attempt_at, next_attempt_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_delivery
UPDATE webhook_deliveries SET outcome = ?, attempts = ?, status = ?, error = ?, last_attempt_at = ?, next_attempt_at = ?
WHERE number = ?;

-- name: forget_deliveries
-- All but the newest of a webhook; what still waits to be sent or tried again stays.
DELETE FROM webhook_deliveries
WHERE webhook_id = ?1 AND outcome IN ('delivered', 'failed') AND number <= (
    SELECT number FROM webhook_deliveries WHERE webhook_id = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2
);

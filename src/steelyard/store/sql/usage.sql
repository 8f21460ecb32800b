-- name: add_usage
-- Many rows at once: the last line is repeated for each further one.
INSERT INTO usage (at, request_id, workspace, model, route, provider, dialect, upstream_dialect, stream, status, error,
                   input, output, cached_input, cache_write, reasoning, cost, currency, latency_ms, first_token_ms,
                   attempts, cache, "key", caller)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: add_spending
INSERT INTO usage_days (day, workspace, model, "key", currency, cost)
SELECT substr(value ->> 0, 1, 10), value ->> 2, value ->> 3, coalesce(value ->> 22, ''), value ->> 17, sum(value ->> 16)
FROM json_each(?) WHERE value ->> 16 > 0 GROUP BY 1, 2, 3, 4, 5
ON CONFLICT DO UPDATE SET cost = cost + excluded.cost;

-- name: spent
-- By the present day, and the first one of the present month.
SELECT workspace, model, "key", currency, sum(CASE WHEN day = ?1 THEN cost ELSE 0.0 END),
       sum(CASE WHEN day >= ?2 THEN cost ELSE 0.0 END), sum(cost)
FROM usage_days GROUP BY workspace, model, "key", currency;

-- name: forget_usage
DELETE FROM usage WHERE seq IN (SELECT seq FROM usage WHERE at < ? ORDER BY at LIMIT ?);

-- name: put_days_together
INSERT INTO usage_days (day, workspace, model, "key", currency, cost)
SELECT substr(day, 1, 7), workspace, model, "key", currency, sum(cost)
FROM usage_days WHERE day < ? AND length(day) = 10 GROUP BY 1, 2, 3, 4, 5
ON CONFLICT DO UPDATE SET cost = cost + excluded.cost;

-- name: forget_days
DELETE FROM usage_days WHERE day < ? AND length(day) = 10;

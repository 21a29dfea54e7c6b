-- Outcomes. A batch is staged in a table in memory first, so that every statement after that is
-- one for the whole batch. Moves: 0 delivered, 1 retry, 2 give up, 3 release, 4 cancel.

-- name: create_staging
CREATE TEMP TABLE IF NOT EXISTS settling (
  n INTEGER PRIMARY KEY,
  merchant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  endpoint_id BLOB NOT NULL,
  fence INTEGER NOT NULL,
  move INTEGER NOT NULL,
  spent INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  reason TEXT,
  block INTEGER NOT NULL,
  holds INTEGER NOT NULL DEFAULT 0
);

-- name: clear_staging
DELETE FROM temp.settling;

-- name: stage
INSERT INTO temp.settling
  (n, merchant_id, id, endpoint_id, fence, move, spent, due_at, reason, block, holds) VALUES :rows;

-- name: mark_holding
UPDATE temp.settling AS s SET holds = 1 WHERE EXISTS (
  SELECT 1 FROM queue AS q
  WHERE q.merchant_id = s.merchant_id AND q.id = s.id AND q.state = 1 AND q.fence = s.fence);

-- name: foreign_fences
SELECT s.n, a.delivery_id IS NOT NULL, a.reason IS 'abandoned' FROM temp.settling AS s
LEFT JOIN attempts AS a ON a.delivery_id = s.id AND a.fence = s.fence AND a.late = 0
WHERE s.holds = 0;

-- name: expunged_events
WITH wanted (merchant_id, id) AS (VALUES :rows)
SELECT e.id FROM wanted CROSS JOIN events AS e
ON e.merchant_id = wanted.merchant_id AND e.id = wanted.id WHERE e.expunged = 1;

-- What would go back to a lane that is no more is cancelled.
-- name: cancel_deleted
UPDATE temp.settling AS s SET move = 4 WHERE s.holds = 1 AND s.move IN (1, 3)
AND EXISTS (SELECT 1 FROM lanes AS l WHERE l.endpoint_id = s.endpoint_id AND l.state = 3);

-- name: finish
INSERT INTO deliveries (merchant_id, id, endpoint_id, event_type, state, fence, attempts_made,
  finished_at, delivered_at, reason, dialect, dialect_version, replay_id, position, order_key)
SELECT q.merchant_id, q.id, q.endpoint_id, q.event_type,
  CASE s.move WHEN 0 THEN 3 WHEN 2 THEN 4 ELSE 5 END,
  q.fence, q.attempts_made + s.spent, ?1,
  CASE s.move WHEN 0 THEN coalesce(q.delivered_at, ?1) ELSE q.delivered_at END,
  CASE s.move WHEN 0 THEN NULL ELSE coalesce(s.reason, q.reason) END,
  q.dialect, q.dialect_version, q.replay_id, q.position, q.order_key
FROM temp.settling AS s CROSS JOIN queue AS q ON q.merchant_id = s.merchant_id AND q.id = s.id
WHERE s.holds = 1 AND s.move IN (0, 2, 4)
ON CONFLICT (merchant_id, id) DO UPDATE SET
  state = excluded.state, fence = excluded.fence, attempts_made = excluded.attempts_made,
  finished_at = excluded.finished_at, delivered_at = excluded.delivered_at,
  reason = excluded.reason, dialect = excluded.dialect,
  dialect_version = excluded.dialect_version, replay_id = excluded.replay_id,
  position = excluded.position, order_key = excluded.order_key;

-- name: block_objects
INSERT INTO order_blocks (endpoint_id, order_key, delivery_id, position)
SELECT q.endpoint_id, q.order_key, q.id, q.position
FROM temp.settling AS s CROSS JOIN queue AS q ON q.merchant_id = s.merchant_id AND q.id = s.id
WHERE s.holds = 1 AND s.move = 2 AND s.block = 1 AND q.order_key IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM lanes AS l WHERE l.endpoint_id = s.endpoint_id AND l.state = 3)
ON CONFLICT DO NOTHING;

-- name: wake_followers
INSERT INTO wakes (endpoint_id, order_key, due_at)
SELECT DISTINCT q.endpoint_id, q.order_key, ?1
FROM temp.settling AS s CROSS JOIN queue AS q ON q.merchant_id = s.merchant_id AND q.id = s.id
WHERE s.holds = 1 AND s.move IN (0, 2, 4) AND q.order_key IS NOT NULL;

-- name: leave_queue
DELETE FROM queue WHERE (merchant_id, id) IN (
  SELECT s.merchant_id, s.id FROM temp.settling AS s WHERE s.holds = 1 AND s.move IN (0, 2, 4));

-- name: reschedule
UPDATE queue SET state = 0, due_at = s.due_at, owner = NULL, lease_until = NULL,
  attempts_made = queue.attempts_made + s.spent,
  abandoned = CASE s.move WHEN 1 THEN 0 ELSE queue.abandoned END,
  reason = coalesce(s.reason, queue.reason)
FROM temp.settling AS s
WHERE queue.merchant_id = s.merchant_id AND queue.id = s.id
AND s.holds = 1 AND s.move IN (1, 3);

-- name: wake_lanes
INSERT INTO wakes (endpoint_id, order_key, due_at)
SELECT s.endpoint_id, NULL, min(s.due_at) FROM temp.settling AS s
WHERE s.holds = 1 AND s.move IN (1, 3) GROUP BY s.endpoint_id;

-- name: insert_attempts
INSERT INTO attempts (delivery_id, fence, late, at, status, reason, detail, timing, peer)
VALUES :rows ON CONFLICT DO NOTHING;

-- name: insert_bodies
INSERT INTO bodies (delivery_id, fence, late, kept_at, truncated, headers, body)
VALUES :rows ON CONFLICT DO NOTHING;

-- name: insert_rendered
INSERT INTO rendered (delivery_id, merchant_id, body) VALUES :rows ON CONFLICT DO NOTHING;

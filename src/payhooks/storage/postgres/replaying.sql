Calling deliveries off, sending them again, and the jobs that do so with many.

-- name: queued
SELECT state FROM queue WHERE merchant_id = $1 AND id = $2 FOR UPDATE

-- name: ended
SELECT state FROM deliveries WHERE merchant_id = $1 AND id = $2

-- name: unblock
WITH freed AS (
  DELETE FROM order_blocks WHERE delivery_id = $1 RETURNING endpoint_id, order_key
), woken AS (
  INSERT INTO wakes (endpoint_id, order_key, due_at)
  SELECT f.endpoint_id, f.order_key, payhooks_now() FROM freed f
)
SELECT endpoint_id FROM freed

-- name: cancel
SELECT cancel_v1($1, $2) AS ids

-- Shared, as accept shares it: who makes deliveries ends before an endpoint is deleted, or sees it.

-- name: hold_routing
SELECT FROM routing WHERE merchant_id = ANY ($1) ORDER BY merchant_id FOR SHARE

-- name: requeue
SELECT requeue_v2($1, $2, $3, $4, $7, $5, $6, $8, $9) AS count

-- What put nothing on its way, and stands nowhere. It has no place in any order. Scalar subqueries,
-- as in requeue_v2: one row by its key each, whatever the planner believes of the tables.

-- name: write_off
INSERT INTO deliveries (merchant_id, id, endpoint_id, event_type, dialect, dialect_version,
  state, fence, attempts_made, finished_at)
SELECT u.merchant, u.id, u.lane, u.type, u.dialect, u.dialect_version, 5, 0, 0, payhooks_now()
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::int[])
  u(merchant, id, lane, type, dialect, dialect_version)
WHERE (SELECT true FROM events e
    WHERE e.merchant_id = u.merchant AND e.id = payhooks_event_of(u.id))
  AND (SELECT true FROM queue q WHERE q.merchant_id = u.merchant AND q.id = u.id) IS NULL
  AND (SELECT true FROM deliveries d WHERE d.merchant_id = u.merchant AND d.id = u.id) IS NULL
ON CONFLICT DO NOTHING RETURNING id

-- name: expunge
UPDATE events SET (data, metadata, findings, expunged) = ('null', NULL, NULL, true)
WHERE merchant_id = $1 AND id = $2 RETURNING id

-- name: expunge_bodies
DELETE FROM bodies
WHERE merchant_id = $1 AND delivery_id > $2 AND delivery_id <= payhooks_last_of($2)

-- name: expunge_undone
SELECT cancel_v1(array_agg(q.merchant_id), array_agg(q.id), true) AS ids FROM queue q
WHERE q.merchant_id = $1 AND q.id > $2 AND q.id <= payhooks_last_of($2)

-- name: replay
SELECT document FROM replays WHERE merchant_id = $1 AND id = $2

-- name: replays
SELECT document FROM replays WHERE merchant_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3

-- By turns: as many of a merchant's jobs go before one as are held already, or wait for longer.

-- name: claim
WITH turns AS MATERIALIZED (
  SELECT r.merchant_id, r.id, row_number() OVER (PARTITION BY r.merchant_id
    ORDER BY r.held_until <= payhooks_now(), r.held_until, r.id) AS turn
  FROM replays r WHERE r.state IN ('running', 'stopping')
), free AS MATERIALIZED (
  SELECT r.merchant_id, r.id FROM turns t
  JOIN replays r ON r.merchant_id = t.merchant_id AND r.id = t.id
  WHERE r.state IN ('running', 'stopping') AND r.held_until <= payhooks_now()
  ORDER BY t.turn, r.held_until, r.id LIMIT $2 FOR UPDATE OF r SKIP LOCKED
), claimed AS (
  UPDATE replays r SET owner = $1, held_until = payhooks_now() + make_interval(secs => $3)
  FROM free f WHERE r.merchant_id = f.merchant_id AND r.id = f.id
  RETURNING r.id, r.document
)
SELECT document FROM claimed ORDER BY id

-- name: advance
UPDATE replays SET (state, document) = ($3, $4)
WHERE merchant_id = $1 AND id = $2 AND state = 'running'
  AND document::jsonb ->> 'cursor' IS NOT DISTINCT FROM $5
  AND (document::jsonb ->> 'queued')::bigint = $6
RETURNING id

-- What is blocked goes with the head of its object: that may wait for a retry, or for a person.

-- name: backlog
SELECT q.endpoint_id, count(*) AS undone, count(*) FILTER (WHERE CASE q.state
  WHEN 0 THEN q.due_at <= c.now
  WHEN 1 THEN true
  ELSE (SELECT true FROM queue a
      WHERE a.endpoint_id = q.endpoint_id AND a.order_key = q.order_key
        AND a.order_key IS NOT NULL AND a.state = 0 AND a.due_at > c.now LIMIT 1) IS NULL
    AND (SELECT true FROM order_blocks b
      WHERE b.endpoint_id = q.endpoint_id AND b.order_key = q.order_key LIMIT 1) IS NULL
  END) AS ahead
FROM queue q CROSS JOIN (SELECT payhooks_now() AS now) c WHERE q.replay_id = $1
GROUP BY q.endpoint_id ORDER BY q.endpoint_id

-- name: take_back
SELECT take_back_v3($1, $2, $3) AS count

-- The schedule. Wakes are folded into lanes, heads of objects promoted, due rows leased.
-- There is one writer, so what a statement sees is what is.

-- name: waiting_wakes
SELECT n, endpoint_id, order_key FROM wakes ORDER BY n LIMIT ?;

-- name: take_wakes
DELETE FROM wakes WHERE n <= ?;

-- The first blocked row of each object of which nothing is on its way.
-- name: promote
UPDATE queue SET state = 0, due_at = ?
WHERE state = 2 AND (merchant_id, id) IN (
  WITH woken (endpoint_id, order_key) AS (VALUES :rows)
  SELECT q.merchant_id, q.id FROM woken AS w CROSS JOIN queue AS q INDEXED BY queue_blocked
  ON q.endpoint_id = w.endpoint_id AND q.order_key = w.order_key AND q.state = 2
  AND q.position = (
    SELECT min(h.position) FROM queue AS h INDEXED BY queue_blocked
    WHERE h.endpoint_id = w.endpoint_id AND h.order_key = w.order_key AND h.state = 2)
  WHERE NOT EXISTS (
    SELECT 1 FROM queue AS a INDEXED BY queue_active
    WHERE a.endpoint_id = w.endpoint_id AND a.order_key = w.order_key
    AND a.order_key IS NOT NULL AND a.state < 2)
  AND NOT EXISTS (
    SELECT 1 FROM order_blocks AS b
    WHERE b.endpoint_id = w.endpoint_id AND b.order_key = w.order_key));

-- name: lower_lanes
UPDATE lanes SET look_at = max(rest_until, probe_until, min(look_at, coalesce(
  (SELECT min(q.due_at) FROM queue AS q INDEXED BY queue_due
   WHERE q.endpoint_id = lanes.endpoint_id AND q.state = 0), look_at)))
WHERE endpoint_id IN (SELECT value FROM carray(?));

-- name: due_lanes
SELECT endpoint_id, merchant_id, circuit_open, rate_per_s, tat, lease_us, rest_until, probe_until,
  failing_since IS NOT NULL
FROM lanes INDEXED BY lanes_look
WHERE state = 0 AND look_at <= ?1 AND endpoint_id NOT IN (SELECT value FROM carray(?2))
ORDER BY look_at LIMIT ?3;

-- name: listening_lane
UPDATE lanes SET listened_at = ?2 WHERE endpoint_id = ?1 AND state = 4
RETURNING endpoint_id, merchant_id, circuit_open, rate_per_s, tat, lease_us, rest_until, probe_until,
  failing_since IS NOT NULL;

-- One answer for all rows, not one each: every row given to Python costs the GIL twice.
-- name: due_rows
SELECT json_group_array(json_array(hex(id), event_type, fence + 1, attempts_made,
  hex(order_key), dialect, dialect_version, hex(replay_id), replay_bulk, due_at, position,
  abandoned))
FROM (SELECT * FROM queue INDEXED BY queue_due
  WHERE endpoint_id = ?1 AND state = 0 AND due_at <= ?2 AND abandoned >= ?4 AND abandoned < ?5
  ORDER BY due_at, position LIMIT ?3);

-- name: any_on_probation
SELECT EXISTS (SELECT 1 FROM queue INDEXED BY queue_probation WHERE state = 0 AND abandoned > 1);

-- name: due_on_probation
SELECT json_group_array(json_array(hex(id), event_type, fence + 1, attempts_made,
  hex(order_key), dialect, dialect_version, hex(replay_id), replay_bulk, due_at, position,
  abandoned))
FROM (SELECT * FROM queue INDEXED BY queue_probation
  WHERE endpoint_id = ?1 AND state = 0 AND due_at <= ?2 AND abandoned > 1
  AND abandoned >= ?4 AND abandoned < ?5
  ORDER BY due_at, position LIMIT ?3);

-- name: take_rows
UPDATE queue SET state = 1, fence = fence + 1, owner = ?1, lease_until = ?2
WHERE merchant_id = ?3 AND id IN (SELECT value FROM carray(?4)) AND state = 0;

-- name: next_due
SELECT min(due_at) FROM queue INDEXED BY queue_due WHERE endpoint_id = ? AND state = 0;

-- name: write_lane
UPDATE lanes SET look_at = ?2, probe_until = ?3, tat = ?4 WHERE endpoint_id = ?1;

-- name: routing_versions
SELECT merchant_id, version FROM routing WHERE merchant_id IN (SELECT value FROM carray(?));

-- name: events
WITH wanted (merchant_id, id) AS (VALUES :rows)
SELECT json_group_array(json_array(hex(e.id), hex(e.merchant_id), e.type, e.family,
  e.object_type, e.object_id, e.occurred_at, e.ordering_key, hex(e.metadata),
  e.metadata IS NULL, hex(e.data)))
FROM wanted CROSS JOIN events AS e ON e.merchant_id = wanted.merchant_id AND e.id = wanted.id;

-- name: rendered
SELECT delivery_id, body FROM rendered WHERE delivery_id IN (SELECT value FROM carray(?));

-- name: look_again
SELECT min(look_at) FROM lanes INDEXED BY lanes_look
WHERE state = 0 AND endpoint_id NOT IN (SELECT value FROM carray(?));

-- name: wakes_left
SELECT EXISTS (SELECT 1 FROM wakes);

-- name: report_failing
UPDATE lanes SET failing_since = coalesce(failing_since, ?2) WHERE endpoint_id = ?1;

-- A rest that the receiver asked for goes on; that of the circuit ends with it.
-- name: report_recovered
UPDATE lanes SET failing_since = NULL, warned = 0,
  look_at = CASE circuit_open WHEN 1 THEN min(look_at, ?2) ELSE look_at END,
  rest_until = CASE circuit_open WHEN 1 THEN ?2 ELSE rest_until END, circuit_open = 0,
  probe_until = 0
WHERE endpoint_id = ?1 AND (circuit_open = 1 OR failing_since IS NOT NULL);

-- name: report_rested
UPDATE lanes SET rest_until = max(rest_until, ?2), look_at = max(look_at, rest_until, ?2)
WHERE endpoint_id = ?1;

-- Perhaps sooner than a probe might have taken.
-- name: report_tripped
UPDATE lanes SET circuit_open = 1, failing_since = coalesce(failing_since, ?3), probe_until = 0,
  rest_until = max(rest_until, ?2), look_at = max(rest_until, ?2)
WHERE endpoint_id = ?1;

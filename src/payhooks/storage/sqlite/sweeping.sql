-- Upkeep: every statement touches one slice.

-- name: expired
SELECT merchant_id, id, endpoint_id, fence, abandoned FROM queue INDEXED BY queue_lease
WHERE state = 1 AND lease_until < ? ORDER BY lease_until LIMIT ?;

-- name: take_back
UPDATE queue SET state = 0, due_at = ?1, owner = NULL, lease_until = NULL,
  abandoned = abandoned + 1, reason = 'abandoned'
WHERE state = 1 AND (merchant_id, id) IN (SELECT merchant_id, id FROM temp.settling);

-- name: insert_wakes
INSERT INTO wakes (endpoint_id, order_key, due_at) VALUES :rows;

-- name: lanes_from
SELECT endpoint_id FROM lanes WHERE endpoint_id > ? ORDER BY endpoint_id LIMIT ?;

-- Open lanes that would sleep through work of which no wake tells, but for their rate.
-- name: drifted
SELECT endpoint_id, look_at, target, tat, rate_per_s FROM (
  SELECT l.endpoint_id, l.look_at, l.tat, l.rate_per_s, max(l.rest_until, l.probe_until, ?2, (
    SELECT min(q.due_at) FROM queue AS q INDEXED BY queue_due
    WHERE q.endpoint_id = l.endpoint_id AND q.state = 0)) AS target
  FROM lanes AS l WHERE l.endpoint_id IN (SELECT value FROM carray(?1)) AND l.state = 0
  AND NOT EXISTS (SELECT 1 FROM wakes AS w WHERE w.endpoint_id = l.endpoint_id))
WHERE target IS NOT NULL AND look_at > target;

-- Objects that an endpoint holds up no more: what had failed before it was edited was written down
-- a moment after that.
-- name: free_objects
DELETE FROM order_blocks WHERE endpoint_id IN (
  SELECT e.id FROM endpoints AS e
  WHERE e.id IN (SELECT b.endpoint_id FROM order_blocks AS b
    WHERE b.endpoint_id IN (SELECT value FROM carray(?)))
  AND e.deleted = 0 AND (json_extract(CAST(e.document AS TEXT), '$.on_failed') <> 'block'
    OR json_extract(CAST(e.document AS TEXT), '$.ordering') = 'none'))
RETURNING endpoint_id, order_key;

-- Objects whose head could go and has not been told to.
-- name: forgotten_objects
SELECT DISTINCT q.endpoint_id, q.order_key
FROM lanes AS l CROSS JOIN queue AS q INDEXED BY queue_blocked
ON q.endpoint_id = l.endpoint_id AND q.state = 2
WHERE l.endpoint_id IN (SELECT value FROM carray(?)) AND l.state = 0
AND NOT EXISTS (SELECT 1 FROM wakes AS w WHERE w.endpoint_id = l.endpoint_id)
AND NOT EXISTS (SELECT 1 FROM queue AS a INDEXED BY queue_active
  WHERE a.endpoint_id = q.endpoint_id AND a.order_key = q.order_key
  AND a.order_key IS NOT NULL AND a.state < 2)
AND NOT EXISTS (SELECT 1 FROM order_blocks AS b
  WHERE b.endpoint_id = q.endpoint_id AND b.order_key = q.order_key);

-- name: set_look
UPDATE lanes SET look_at = ?2 WHERE endpoint_id = ?1;

-- name: orphans
SELECT * FROM (
  SELECT q.merchant_id, q.id, q.endpoint_id, q.fence
  FROM lanes AS l INDEXED BY lanes_deleted CROSS JOIN queue AS q INDEXED BY queue_due
  ON q.endpoint_id = l.endpoint_id AND q.state = 0
  WHERE l.state = 3 AND l.swept = 0
  UNION ALL
  SELECT q.merchant_id, q.id, q.endpoint_id, q.fence
  FROM lanes AS l INDEXED BY lanes_deleted CROSS JOIN queue AS q INDEXED BY queue_blocked
  ON q.endpoint_id = l.endpoint_id AND q.state = 2
  WHERE l.state = 3 AND l.swept = 0)
LIMIT ?;

-- name: mark_swept
UPDATE lanes SET swept = 1 WHERE state = 3 AND swept = 0 AND NOT EXISTS (
  SELECT 1 FROM queue AS q
  WHERE q.merchant_id = lanes.merchant_id AND q.endpoint_id = lanes.endpoint_id);

-- Rows of events follow the order of acceptance, so the first are the oldest …
-- name: first_events
SELECT merchant_id, id, idempotency, fan_out
FROM (SELECT * FROM events ORDER BY n LIMIT ?2) WHERE id < ?1;

-- … where the clock never went back. These are found wherever they stand.
-- name: old_events
SELECT e.merchant_id, e.id, e.idempotency, e.fan_out
FROM merchants AS m CROSS JOIN events AS e ON e.merchant_id = m.id AND e.id < ?1 LIMIT ?2;

-- name: undone_of
WITH old (merchant_id, low, high) AS (VALUES :rows)
SELECT q.merchant_id, q.id, q.endpoint_id, q.fence, q.state FROM old CROSS JOIN queue AS q
ON q.merchant_id = old.merchant_id AND q.id BETWEEN old.low AND old.high;

-- name: deliveries_of
WITH old (merchant_id, low, high) AS (VALUES :rows)
SELECT d.id FROM old CROSS JOIN deliveries AS d
ON d.merchant_id = old.merchant_id AND d.id BETWEEN old.low AND old.high;

-- name: purge_events
DELETE FROM events WHERE (merchant_id, id) IN (VALUES :rows);

-- name: purge_deliveries
DELETE FROM deliveries WHERE (merchant_id, id) IN (VALUES :rows);

-- name: purge_keys
DELETE FROM idempotency WHERE key IN (SELECT value FROM carray(?));

-- name: purge_attempts
DELETE FROM attempts WHERE delivery_id IN (SELECT value FROM carray(?));

-- name: purge_bodies
DELETE FROM bodies WHERE delivery_id IN (SELECT value FROM carray(?));

-- name: purge_rendered
DELETE FROM rendered WHERE delivery_id IN (SELECT value FROM carray(?));

-- name: purge_feed
DELETE FROM feed_entries WHERE delivery_id IN (SELECT value FROM carray(?));

-- name: block_poisoned
INSERT INTO order_blocks (endpoint_id, order_key, delivery_id, position)
SELECT q.endpoint_id, q.order_key, q.id, q.position
FROM queue AS q CROSS JOIN endpoints AS e ON e.id = q.endpoint_id
WHERE (q.merchant_id, q.id) IN (VALUES :rows) AND q.order_key IS NOT NULL AND e.deleted = 0
AND json_extract(CAST(e.document AS TEXT), '$.on_failed') = 'block'
AND json_extract(CAST(e.document AS TEXT), '$.ordering') <> 'none'
ON CONFLICT DO NOTHING;

-- name: purge_order_blocks
DELETE FROM order_blocks WHERE delivery_id IN (SELECT value FROM carray(?))
RETURNING endpoint_id, order_key;

-- name: retire_bodies
DELETE FROM bodies WHERE n IN (
  SELECT n FROM bodies INDEXED BY bodies_kept WHERE kept_at < ?1 ORDER BY kept_at LIMIT ?2);

-- name: retire_rendered
DELETE FROM rendered WHERE n IN (
  SELECT r.n FROM rendered AS r WHERE r.delivery_id < ?1
  AND NOT EXISTS (
    SELECT 1 FROM queue AS q WHERE q.merchant_id = r.merchant_id AND q.id = r.delivery_id)
  ORDER BY r.delivery_id LIMIT ?2);

-- name: failing
SELECT merchant_id, endpoint_id, ?1 - failing_since, warned FROM lanes INDEXED BY lanes_failing
WHERE failing_since IS NOT NULL AND failing_since <= ?2 AND state = 0
ORDER BY failing_since LIMIT ?3;

-- name: warned
UPDATE lanes SET warned = ?2 WHERE endpoint_id = ?1;

-- name: silent
SELECT merchant_id, endpoint_id FROM lanes INDEXED BY lanes_listening
WHERE state = 4 AND listened_at <= ? ORDER BY listened_at;

-- name: announcements
SELECT document FROM announcements ORDER BY n LIMIT ? OFFSET ?;

-- name: announced
DELETE FROM announcements WHERE id IN (SELECT value FROM carray(?));

-- name: beat
INSERT INTO workers (owner, seen_at, version) VALUES (?, ?, ?)
ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at, version = excluded.version;

-- name: forget_workers
DELETE FROM workers WHERE seen_at <= ?;

-- name: workers
SELECT owner, seen_at, version FROM workers ORDER BY owner;

-- Three counts over three partial indexes, not one over the whole table.
-- name: queue_counts
SELECT (SELECT count(*) FROM queue INDEXED BY queue_due WHERE state = 0),
  (SELECT count(*) FROM queue INDEXED BY queue_lease WHERE state = 1),
  (SELECT count(*) FROM queue INDEXED BY queue_blocked WHERE state = 2);

-- name: oldest_due
SELECT min((SELECT min(q.due_at) FROM queue AS q INDEXED BY queue_due
  WHERE q.endpoint_id = l.endpoint_id AND q.state = 0))
FROM lanes AS l WHERE l.state = 0;

-- name: lane_counts
SELECT state, count(*), sum(circuit_open) FROM lanes WHERE state <> 3 GROUP BY state;

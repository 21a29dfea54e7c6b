-- Reads. {where} stands for the narrowing that the caller asked for, {index} for the index that
-- serves it. A delivery that both tables know is a replay: the queue is right.
-- The end of an event's range of deliveries is its id with the last twenty bits set.

-- name: events
SELECT e.id, e.merchant_id, e.type, e.family, e.object_type, e.object_id, e.occurred_at,
  e.ordering_key, e.metadata, e.data, e.fan_out, e.routing_version, e.expunged, e.findings,
  {status}
FROM events AS e WHERE e.merchant_id = ? {where} ORDER BY e.id DESC LIMIT ?;

-- name: status
CASE WHEN EXISTS (SELECT 1 FROM queue AS q WHERE q.merchant_id = e.merchant_id
  AND q.id BETWEEN e.id AND unhex(substr(hex(e.id), 1, 27) || 'FFFFF')) THEN 'pending'
ELSE coalesce((
  SELECT CASE max(CASE d.state WHEN 4 THEN 3 WHEN 3 THEN 2 ELSE 1 END)
    WHEN 3 THEN 'failed' WHEN 2 THEN 'delivered' WHEN 1 THEN 'cancelled' END
  FROM deliveries AS d WHERE d.merchant_id = e.merchant_id
  AND d.id BETWEEN e.id AND unhex(substr(hex(e.id), 1, 27) || 'FFFFF')), 'unsubscribed') END;

-- name: undone
SELECT d.id, d.merchant_id, d.endpoint_id, d.state, d.event_type, d.dialect, d.dialect_version,
  d.fence, d.attempts_made, d.due_at, NULL, d.delivered_at, d.reason, d.replay_id,
  CASE WHEN d.order_key IS NULL THEN NULL ELSE d.position END,
  d.state <> 1 AND l.state IN (1, 2)
FROM queue AS d CROSS JOIN lanes AS l ON l.endpoint_id = d.endpoint_id
WHERE d.merchant_id = ? {where} ORDER BY d.id DESC LIMIT ?;

-- name: final
SELECT d.id, d.merchant_id, d.endpoint_id, d.state, d.event_type, d.dialect, d.dialect_version,
  d.fence, d.attempts_made, NULL, d.finished_at, d.delivered_at, d.reason, d.replay_id, NULL, 0
FROM deliveries AS d {index}
WHERE d.merchant_id = ? {where} AND NOT EXISTS (
  SELECT 1 FROM queue AS q WHERE q.merchant_id = d.merchant_id AND q.id = d.id)
ORDER BY d.id DESC LIMIT ?;

-- name: attempts
SELECT a.fence, a.late, a.at, a.status, a.reason, a.detail, a.timing, a.peer,
  b.headers, b.body, b.truncated
FROM attempts AS a LEFT JOIN bodies AS b
ON b.delivery_id = a.delivery_id AND b.fence = a.fence AND b.late = a.late
WHERE a.delivery_id = ? ORDER BY a.fence, a.late;

-- name: last_statuses
SELECT w.value, a.status FROM carray(?2) AS w
CROSS JOIN attempts AS a ON a.delivery_id = w.value AND a.late = 0
WHERE a.fence = (
  SELECT max(x.fence) FROM attempts AS x WHERE x.delivery_id = w.value AND x.late = 0)
AND (EXISTS (SELECT 1 FROM deliveries AS d WHERE d.merchant_id = ?1 AND d.id = w.value)
  OR EXISTS (SELECT 1 FROM queue AS q WHERE q.merchant_id = ?1 AND q.id = w.value));

-- name: lane_feed
SELECT feed_last, feed_id FROM lanes WHERE endpoint_id = ? AND merchant_id = ?;

-- name: unnumbered_undone
SELECT q.id FROM queue AS q WHERE q.merchant_id = ? AND q.endpoint_id = ? AND q.id > ?
AND NOT EXISTS (SELECT 1 FROM feed_entries AS f WHERE f.delivery_id = q.id)
ORDER BY q.id LIMIT ?;

-- name: unnumbered_final
SELECT d.id FROM deliveries AS d INDEXED BY deliveries_endpoint
WHERE d.endpoint_id = ? AND d.id > ?
AND NOT EXISTS (SELECT 1 FROM feed_entries AS f WHERE f.delivery_id = d.id)
ORDER BY d.id LIMIT ?;

-- name: number
INSERT INTO feed_entries (endpoint_id, sequence, merchant_id, delivery_id) VALUES :rows;

-- name: numbered
UPDATE lanes SET feed_last = ?2, feed_id = max(feed_id, ?3) WHERE endpoint_id = ?1;

-- name: feed
SELECT sequence, delivery_id FROM feed_entries WHERE endpoint_id = ? AND sequence > ?
ORDER BY sequence LIMIT ?;

-- name: subscriptions
SELECT document FROM endpoint_history WHERE merchant_id = ? ORDER BY number, version;

-- name: facts
SELECT id, type, routing_version, fan_out, object_type, object_id, ordering_key FROM events
WHERE merchant_id = ? AND id > ? AND id < ? ORDER BY id LIMIT ?;

-- name: subjects
SELECT id, family, type, object_type, object_id FROM events
WHERE merchant_id = ? AND id > ? AND object_id IS NOT NULL ORDER BY id LIMIT ?;

-- name: merchants_using
SELECT document FROM merchants WHERE id < ?2 AND EXISTS (
  SELECT 1 FROM json_each(CAST(document AS TEXT), '$.families') WHERE value = ?1)
ORDER BY id DESC LIMIT ?3;

-- name: fact_states
SELECT id, state, reason FROM deliveries WHERE merchant_id = ?1 AND id BETWEEN ?2 AND ?3
UNION ALL SELECT id, state, reason FROM queue WHERE merchant_id = ?1 AND id BETWEEN ?2 AND ?3;

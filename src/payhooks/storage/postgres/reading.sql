Reads, each bounded. Parameters that are NULL narrow nothing.

-- name: status
CASE WHEN EXISTS (SELECT FROM queue q WHERE q.merchant_id = e.merchant_id
  AND q.id > e.id AND q.id <= payhooks_last_of(e.id)) THEN 'pending'
ELSE (SELECT CASE WHEN count(*) = 0 THEN 'unsubscribed'
    WHEN bool_or(d.state = 4) THEN 'failed'
    WHEN bool_or(d.state = 3) THEN 'delivered' ELSE 'cancelled' END
  FROM deliveries d WHERE d.merchant_id = e.merchant_id
    AND d.id > e.id AND d.id <= payhooks_last_of(e.id)) END

-- name: events
SELECT e.* FROM (
  SELECT e.*, {status} AS status FROM events e
  WHERE e.merchant_id = $1 AND e.id < $2 AND e.id >= $3
    AND ($4::text[] IS NULL OR e.type LIKE ANY ($4))
    AND {of_object}
) e
WHERE $6::text IS NULL OR e.status = $6
ORDER BY e.id DESC LIMIT $7

-- By status: from the rows that make it, or a rare one would be looked for in every event. One
-- row stands for its event, the last of its kind, so that the page comes in order and stops.
-- name: events_pending
SELECT e.*, 'pending' AS status
FROM queue c JOIN events e ON e.merchant_id = $1 AND e.id = payhooks_event_of(c.id)
WHERE c.merchant_id = $1 AND c.id < $2 AND c.id >= $3
  AND ($4::text[] IS NULL OR e.type LIKE ANY ($4))
  AND NOT EXISTS (SELECT FROM queue x WHERE x.merchant_id = $1 AND x.id > c.id
    AND x.id <= payhooks_last_of(payhooks_event_of(c.id)))
ORDER BY c.id DESC LIMIT $5

-- name: events_failed
SELECT e.*, 'failed' AS status
FROM deliveries c JOIN events e ON e.merchant_id = $1 AND e.id = payhooks_event_of(c.id)
WHERE c.merchant_id = $1 AND c.state = 4 AND c.id < $2 AND c.id >= $3
  AND ($4::text[] IS NULL OR e.type LIKE ANY ($4))
  AND NOT EXISTS (SELECT FROM deliveries x WHERE x.merchant_id = $1 AND x.id > c.id
    AND x.id <= payhooks_last_of(payhooks_event_of(c.id)) AND x.state = 4)
  AND NOT EXISTS (SELECT FROM queue q WHERE q.merchant_id = $1
    AND q.id > payhooks_event_of(c.id) AND q.id <= payhooks_last_of(payhooks_event_of(c.id)))
ORDER BY c.id DESC LIMIT $5

-- name: events_delivered
SELECT e.*, 'delivered' AS status
FROM deliveries c JOIN events e ON e.merchant_id = $1 AND e.id = payhooks_event_of(c.id)
WHERE c.merchant_id = $1 AND c.state = 3 AND c.id < $2 AND c.id >= $3
  AND ($4::text[] IS NULL OR e.type LIKE ANY ($4))
  AND NOT EXISTS (SELECT FROM deliveries x WHERE x.merchant_id = $1
    AND x.id > payhooks_event_of(c.id) AND x.id <= payhooks_last_of(payhooks_event_of(c.id))
    AND (x.state = 4 OR x.state = 3 AND x.id > c.id))
  AND NOT EXISTS (SELECT FROM queue q WHERE q.merchant_id = $1
    AND q.id > payhooks_event_of(c.id) AND q.id <= payhooks_last_of(payhooks_event_of(c.id)))
ORDER BY c.id DESC LIMIT $5

-- name: events_cancelled
SELECT e.*, 'cancelled' AS status
FROM deliveries c JOIN events e ON e.merchant_id = $1 AND e.id = payhooks_event_of(c.id)
WHERE c.merchant_id = $1 AND c.state = 5 AND c.id < $2 AND c.id >= $3
  AND ($4::text[] IS NULL OR e.type LIKE ANY ($4))
  AND NOT EXISTS (SELECT FROM deliveries x WHERE x.merchant_id = $1
    AND x.id > payhooks_event_of(c.id) AND x.id <= payhooks_last_of(payhooks_event_of(c.id))
    AND (x.state < 5 OR x.id > c.id))
  AND NOT EXISTS (SELECT FROM queue q WHERE q.merchant_id = $1
    AND q.id > payhooks_event_of(c.id) AND q.id <= payhooks_last_of(payhooks_event_of(c.id)))
ORDER BY c.id DESC LIMIT $5

-- name: events_unsubscribed
SELECT e.*, 'unsubscribed' AS status FROM events e
WHERE e.merchant_id = $1 AND e.fan_out = 0 AND e.id < $2 AND e.id >= $3
  AND ($4::text[] IS NULL OR e.type LIKE ANY ($4))
  AND NOT EXISTS (SELECT FROM queue q WHERE q.merchant_id = $1
    AND q.id > e.id AND q.id <= payhooks_last_of(e.id))
  AND NOT EXISTS (SELECT FROM deliveries d WHERE d.merchant_id = $1
    AND d.id > e.id AND d.id <= payhooks_last_of(e.id))
ORDER BY e.id DESC LIMIT $5

-- name: attempts
SELECT a.delivery_id, a.fence, a.late, a.at, a.status, a.reason, a.detail, a.peer,
  a.dns_s, a.connect_s, a.tls_s, a.wait_s, a.total_s, b.headers, b.body, b.truncated
FROM attempts a
LEFT JOIN bodies b ON b.merchant_id = a.merchant_id AND b.delivery_id = a.delivery_id
  AND b.kind = 1 AND b.fence = a.fence AND b.late = a.late
WHERE a.merchant_id = $1 AND a.delivery_id = $2
ORDER BY a.fence, a.late

-- name: last_statuses
SELECT a.delivery_id, a.status FROM unnest($2::uuid[]) w(id)
CROSS JOIN LATERAL (
  SELECT x.delivery_id, x.status FROM attempts x
  WHERE x.merchant_id = $1 AND x.delivery_id = w.id AND NOT x.late
  ORDER BY x.fence DESC LIMIT 1) a

-- name: feed_lane
SELECT sequence_last FROM lanes WHERE endpoint_id = $1 AND merchant_id = $2 FOR UPDATE

-- name: feed_numbered
SELECT delivery_id FROM feed_entries WHERE endpoint_id = $1 ORDER BY delivery_id DESC LIMIT 1

-- name: feed_number
WITH fresh AS MATERIALIZED (
  SELECT x.id FROM (
    SELECT q.id FROM queue q WHERE q.merchant_id = $2 AND q.endpoint_id = $1 AND q.id > $3
    UNION
    SELECT d.id FROM deliveries d WHERE d.endpoint_id = $1 AND d.id > $3) x
  WHERE NOT EXISTS (
    SELECT FROM feed_entries f WHERE f.endpoint_id = $1 AND f.delivery_id = x.id)
  ORDER BY x.id LIMIT $5
), numbered AS (
  INSERT INTO feed_entries (endpoint_id, sequence, delivery_id)
  SELECT $1, $4 + row_number() OVER (ORDER BY f.id), f.id FROM fresh f RETURNING sequence
)
UPDATE lanes l SET sequence_last = n.last FROM (SELECT max(sequence) AS last FROM numbered) n
WHERE l.endpoint_id = $1 AND n.last IS NOT NULL

-- name: feed_page
SELECT f.sequence, a.*, coalesce(l.state IN (1, 2) AND a.state IN (0, 2), false) AS held,
  e.id AS event_id, e.type, e.family, e.data, e.object_type, e.object_id, e.occurred_at,
  e.ordering_key, e.metadata, e.expunged
FROM (
  SELECT x.sequence, x.delivery_id FROM feed_entries x
  WHERE x.endpoint_id = $1 AND x.sequence > $3 ORDER BY x.sequence LIMIT $4) f
CROSS JOIN LATERAL (
  SELECT * FROM deliveries_all v WHERE v.merchant_id = $2 AND v.id = f.delivery_id) a
JOIN events e ON e.merchant_id = $2 AND e.id = payhooks_event_of(f.delivery_id)
JOIN lanes l ON l.endpoint_id = $1
ORDER BY f.sequence

-- name: subscriptions
SELECT endpoint_id, number, version, events, status, listening FROM endpoint_history
WHERE merchant_id = $1 ORDER BY number, version

-- name: facts
SELECT id, type, routing_version, fan_out, ordering_key, object_type, object_id FROM events
WHERE merchant_id = $1 AND id > $2 AND id < $3 ORDER BY id LIMIT $4

-- name: subjects
SELECT id, family, type, object_type, object_id FROM events
WHERE merchant_id = $1 AND id > $2 AND object_id IS NOT NULL ORDER BY id LIMIT $3

-- name: merchants_using
SELECT document FROM merchants
WHERE ($2::uuid IS NULL OR id < $2) AND document::jsonb -> 'families' ? $1
ORDER BY id DESC LIMIT $3

-- name: facts_deliveries
SELECT id, state, reason FROM facts_deliveries_v1($1, $2, $3)

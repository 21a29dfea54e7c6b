Lists that people narrow. A filter is read in legs, of which each walks one index from its newest end
and stops when the page is full; no row is in two of them. {narrow} is what a filter says, in words:
a parameter that may be NULL would hide from the planner which index serves.

-- name: page
SELECT a.* FROM ({legs}) a ORDER BY a.id DESC LIMIT $4

-- name: count
SELECT count(*) AS count FROM ({page}) x

-- name: undone
(SELECT d.merchant_id, d.id, d.endpoint_id, d.order_key, d.replay_id, d.position, d.due_at,
  NULL::timestamptz AS finished_at, d.delivered_at, d.fence, d.attempts_made,
  d.dialect_version, d.state, d.event_type, d.dialect, d.reason,
  d.state <> 1 AND l.state IN (1, 2) AS held
FROM queue d JOIN lanes l ON l.endpoint_id = d.endpoint_id
WHERE d.merchant_id = $1 AND d.id < $2 AND d.id >= $3 {narrow}
ORDER BY d.id DESC LIMIT $4)

-- name: columns
d.merchant_id, d.id, d.endpoint_id, d.order_key, d.replay_id, NULL::bigint AS position,
  NULL::timestamptz AS due_at, d.finished_at, d.delivered_at, d.fence, d.attempts_made,
  d.dialect_version, d.state, d.event_type, d.dialect, d.reason, false AS held

-- name: final
(SELECT {columns}
FROM deliveries d
WHERE d.merchant_id = $1 AND d.id < $2 AND d.id >= $3 {narrow}
  AND NOT EXISTS (SELECT FROM queue q WHERE q.merchant_id = d.merchant_id AND q.id = d.id)
ORDER BY d.id DESC LIMIT $4)

-- name: final_of_types
(SELECT f.* FROM unnest({types}) t(type) CROSS JOIN LATERAL (
  SELECT {columns}
  FROM deliveries d
  WHERE d.merchant_id = $1 AND d.id < $2 AND d.id >= $3 {narrow}
    -- As rows, and sorted by both: the order of ids alone looks cheaper where a type is said to be
    -- common, and is walked to its end where it is not.
    AND (d.event_type, d.id) < (t.type, $2) AND (d.event_type, d.id) >= (t.type, $3)
    AND NOT EXISTS (SELECT FROM queue q WHERE q.merchant_id = d.merchant_id AND q.id = d.id)
  ORDER BY d.event_type DESC, d.id DESC LIMIT $4) f)

-- name: types
-- The merchant's event types, from one entry of the index to the next type.
(WITH RECURSIVE found (type) AS (
  (SELECT d.event_type FROM deliveries d WHERE d.merchant_id = $1 ORDER BY d.event_type LIMIT 1)
  UNION ALL
  SELECT (SELECT d.event_type FROM deliveries d
    WHERE d.merchant_id = $1 AND d.event_type > found.type ORDER BY d.event_type LIMIT 1)
  FROM found WHERE found.type IS NOT NULL
) SELECT type FROM found WHERE type IS NOT NULL LIMIT $2)
UNION
(WITH RECURSIVE found (type) AS (
  (SELECT e.type FROM events e WHERE e.merchant_id = $1 AND e.fan_out = 0 ORDER BY e.type LIMIT 1)
  UNION ALL
  SELECT (SELECT e.type FROM events e
    WHERE e.merchant_id = $1 AND e.fan_out = 0 AND e.type > found.type ORDER BY e.type LIMIT 1)
  FROM found WHERE found.type IS NOT NULL
) SELECT type FROM found WHERE type IS NOT NULL LIMIT $2)

-- name: events_of_types
-- Events of types: from the deliveries that were made of them, one of which stands for its event,
-- from what waits, by pattern, and from those that nobody had selected.
SELECT e.*, s.status FROM (
  SELECT DISTINCT i.id FROM (
    (SELECT f.id FROM unnest($4::text[]) t(type) CROSS JOIN LATERAL (
      SELECT payhooks_event_of(d.id) AS id FROM deliveries d
      WHERE d.merchant_id = $1 AND d.id < $2 AND d.id >= $3
        AND (d.event_type, d.id) < (t.type, $2) AND (d.event_type, d.id) >= (t.type, $3)
        AND NOT EXISTS (SELECT FROM deliveries x WHERE x.merchant_id = $1 AND x.id > d.id
          AND x.id <= payhooks_last_of(payhooks_event_of(d.id)))
      ORDER BY d.event_type DESC, d.id DESC LIMIT $5) f)
    UNION ALL
    (SELECT payhooks_event_of(d.id) FROM queue d
      WHERE d.merchant_id = $1 AND d.id < $2 AND d.id >= $3 AND d.event_type LIKE ANY ($6)
        AND NOT EXISTS (SELECT FROM queue x WHERE x.merchant_id = $1 AND x.id > d.id
          AND x.id <= payhooks_last_of(payhooks_event_of(d.id)))
      ORDER BY d.id DESC LIMIT $5)
    UNION ALL
    (SELECT f.id FROM unnest($4::text[]) t(type) CROSS JOIN LATERAL (
      SELECT e.id FROM events e
      WHERE e.merchant_id = $1 AND e.fan_out = 0 AND e.id < $2 AND e.id >= $3
        AND (e.type, e.id) < (t.type, $2) AND (e.type, e.id) >= (t.type, $3)
      ORDER BY e.type DESC, e.id DESC LIMIT $5) f)
  ) i ORDER BY i.id DESC LIMIT $5
) i
-- Looked up one by one: see lease_v1.
CROSS JOIN LATERAL (SELECT * FROM events ee
  WHERE ee.merchant_id = $1 AND ee.id = i.id OFFSET 0) e
CROSS JOIN LATERAL (SELECT {status} AS status) s
ORDER BY e.id DESC

-- name: events_delivered_of_types
SELECT e.*, 'delivered' AS status FROM (
  SELECT f.id FROM unnest($4::text[]) t(type) CROSS JOIN LATERAL (
    SELECT payhooks_event_of(d.id) AS id FROM deliveries d
    WHERE d.merchant_id = $1 AND d.id < $2 AND d.id >= $3
      AND (d.event_type, d.id) < (t.type, $2) AND (d.event_type, d.id) >= (t.type, $3)
      AND d.state = 3
      AND NOT EXISTS (SELECT FROM deliveries x WHERE x.merchant_id = $1
        AND x.id > payhooks_event_of(d.id) AND x.id <= payhooks_last_of(payhooks_event_of(d.id))
        AND (x.state = 4 OR x.state = 3 AND x.id > d.id))
      AND NOT EXISTS (SELECT FROM queue q WHERE q.merchant_id = $1
        AND q.id > payhooks_event_of(d.id) AND q.id <= payhooks_last_of(payhooks_event_of(d.id)))
    ORDER BY d.event_type DESC, d.id DESC LIMIT $5) f
  ORDER BY f.id DESC LIMIT $5
) i
CROSS JOIN LATERAL (SELECT * FROM events ee
  WHERE ee.merchant_id = $1 AND ee.id = i.id OFFSET 0) e
ORDER BY e.id DESC

-- name: events_unsubscribed_of_types
SELECT f.*, 'unsubscribed' AS status FROM unnest($4::text[]) t(type) CROSS JOIN LATERAL (
  SELECT e.* FROM events e
  WHERE e.merchant_id = $1 AND e.fan_out = 0 AND e.id < $2 AND e.id >= $3
    AND (e.type, e.id) < (t.type, $2) AND (e.type, e.id) >= (t.type, $3)
    AND NOT EXISTS (SELECT FROM queue q WHERE q.merchant_id = $1
      AND q.id > e.id AND q.id <= payhooks_last_of(e.id))
    AND NOT EXISTS (SELECT FROM deliveries d WHERE d.merchant_id = $1
      AND d.id > e.id AND d.id <= payhooks_last_of(e.id))
  ORDER BY e.type DESC, e.id DESC LIMIT $5) f
ORDER BY f.id DESC LIMIT $5

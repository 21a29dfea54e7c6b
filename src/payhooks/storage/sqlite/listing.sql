-- Lists that are narrowed. Each statement reads one index from its newest end and stops when the
-- page is full; which index is named, as no statistics are kept. {where} stands for the narrowing.

-- name: count
-- Counted inside, so that one row comes back however many match.
SELECT count(*) FROM ({listed});

-- name: delivered_types
-- The merchant's event types, from one entry of the index to the next type.
WITH RECURSIVE found (type) AS (
  SELECT min(event_type) FROM deliveries INDEXED BY deliveries_type WHERE merchant_id = ?1
  UNION ALL
  SELECT (SELECT min(d.event_type) FROM deliveries AS d INDEXED BY deliveries_type
    WHERE d.merchant_id = ?1 AND d.event_type > found.type)
  FROM found WHERE found.type IS NOT NULL LIMIT ?2)
SELECT type FROM found WHERE type IS NOT NULL;

-- name: of_type
SELECT 1 FROM deliveries INDEXED BY deliveries_type
WHERE merchant_id = ? AND event_type = ? LIMIT ?;

-- name: unsubscribed_types
WITH RECURSIVE found (type) AS (
  SELECT min(type) FROM events INDEXED BY events_unsubscribed
  WHERE merchant_id = ?1 AND fan_out = 0
  UNION ALL
  SELECT (SELECT min(e.type) FROM events AS e INDEXED BY events_unsubscribed
    WHERE e.merchant_id = ?1 AND e.fan_out = 0 AND e.type > found.type)
  FROM found WHERE found.type IS NOT NULL LIMIT ?2)
SELECT type FROM found WHERE type IS NOT NULL;

-- name: events_of_final
-- One row stands for its event, the last of those that {same} speaks of.
SELECT e.id FROM deliveries AS d {index} CROSS JOIN events AS e
ON e.merchant_id = d.merchant_id AND e.id = unhex(substr(hex(d.id), 1, 27) || '00000')
WHERE d.merchant_id = ? {where} AND NOT EXISTS (
  SELECT 1 FROM deliveries AS x NOT INDEXED WHERE x.merchant_id = d.merchant_id AND x.id > d.id
  AND x.id <= unhex(substr(hex(d.id), 1, 27) || 'FFFFF') {same})
ORDER BY d.id DESC LIMIT ?;

-- name: events_of_undone
SELECT e.id FROM queue AS d NOT INDEXED CROSS JOIN events AS e
ON e.merchant_id = d.merchant_id AND e.id = unhex(substr(hex(d.id), 1, 27) || '00000')
WHERE d.merchant_id = ? {where} AND NOT EXISTS (
  SELECT 1 FROM queue AS x NOT INDEXED WHERE x.merchant_id = d.merchant_id AND x.id > d.id
  AND x.id <= unhex(substr(hex(d.id), 1, 27) || 'FFFFF'))
ORDER BY d.id DESC LIMIT ?;

-- name: events_unsubscribed
SELECT e.id FROM events AS e {index}
WHERE e.merchant_id = ? AND e.fan_out = 0 {where} ORDER BY e.id DESC LIMIT ?;

-- Stocks of the console's lists for SQLite; see console_lists.py, which fills in the words in braces.

-- name: events
INSERT INTO events (id, merchant_id, type, family, object_type, object_id, routing_version,
  fan_out, data)
WITH RECURSIVE series (n) AS (
  SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last})
SELECT unhex(printf('%012x%015x00000', {at_ms}, n)), {merchant}, {type}, 'shop', 'payment',
  'pay_' || n / 3, 1, CASE WHEN {selected} THEN 2 ELSE 0 END, {data}
FROM series;

-- name: deliveries
INSERT INTO deliveries (merchant_id, id, endpoint_id, event_type, state, fence, attempts_made,
  finished_at, delivered_at, reason, dialect, dialect_version, position)
WITH RECURSIVE series (n) AS (
  SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last}),
sides (side) AS (VALUES (0), (1))
SELECT {merchant}, unhex(printf('%012x%015x%05x', {at_ms}, n, {number})), p.id, {type}, {state},
  1, 1, ({at_ms}) * 1000, ({at_ms}) * 1000, {reason}, 'standard', 1, n
FROM series CROSS JOIN sides CROSS JOIN endpoints AS p
ON p.merchant_id = {merchant} AND p.number = {number}
WHERE {selected} AND NOT ({undone});

-- name: attempts
INSERT INTO attempts (delivery_id, fence, late, at, status, detail, timing, peer)
WITH RECURSIVE series (n) AS (
  SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last}),
sides (side) AS (VALUES (0), (1))
SELECT unhex(printf('%012x%015x%05x', {at_ms}, n, {number})), 1, 0, ({at_ms}) * 1000, 200, '',
  CAST('{{"total_s":0.002}}' AS BLOB), '127.0.0.1'
FROM series CROSS JOIN sides WHERE {selected} AND NOT ({undone});

-- name: queue
INSERT INTO queue (merchant_id, id, endpoint_id, event_type, state, due_at, position, fence,
  attempts_made, dialect, dialect_version, reason)
WITH RECURSIVE series (n) AS (
  SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last}),
sides (side) AS (VALUES (0), (1))
SELECT {merchant}, unhex(printf('%012x%015x%05x', {at_ms}, n, {number})), p.id, {type}, 0,
  ({at_ms} + {day_ms} * 2) * 1000, n, 1, n % 2, 'standard', 1,
  CASE WHEN n % 2 = 1 THEN 'http_5xx' END
FROM series CROSS JOIN sides CROSS JOIN endpoints AS p
ON p.merchant_id = {merchant} AND p.number = {number}
WHERE {selected} AND {undone};

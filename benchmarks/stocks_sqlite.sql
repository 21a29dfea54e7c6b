-- Stocks for SQLite; see stocks_postgres.sql.

-- name: events
INSERT INTO events (id, merchant_id, type, family, object_type, object_id, routing_version,
  fan_out, data)
WITH RECURSIVE series (n) AS (
  SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last})
SELECT {event}, {merchant}, 'payment_succeeded', 'owngateway', 'payment', 'pay_' || n, 1, 1,
  CAST('{{"id":"pay_' || n || '","amount":"1250.00","currency":"EUR"}}' AS BLOB)
FROM series;

-- name: deliveries
INSERT INTO deliveries (merchant_id, id, endpoint_id, event_type, state, fence, attempts_made,
  finished_at, delivered_at, dialect, dialect_version, position)
WITH RECURSIVE series (n) AS (
  SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last})
SELECT {merchant}, {delivery}, {endpoint}, 'payment_succeeded', 3, 1, 1, {began_ms} * 1000,
  {began_ms} * 1000, 'standard', 1, n
FROM series;

-- name: attempts
INSERT INTO attempts (delivery_id, fence, late, at, status, detail, timing, peer)
WITH RECURSIVE series (n) AS (
  SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last})
SELECT {delivery}, 1, 0, {began_ms} * 1000, 200, '', CAST('{{"total_s":0.002}}' AS BLOB),
  '127.0.0.1'
FROM series;

-- In the order of the keys, of which no table knows another: a tree filled at random would
-- take hours.
-- name: keys
INSERT INTO idempotency (key, event_id, content, event_type, deliveries)
WITH RECURSIVE series (n) AS (
  SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last})
SELECT randomblob(16), {event}, randomblob(16), 'payment_succeeded', 1
FROM series ORDER BY 1;

-- name: queue
INSERT INTO queue (merchant_id, id, endpoint_id, event_type, state, due_at, position, fence,
  attempts_made, dialect, dialect_version, reason)
WITH RECURSIVE series (n) AS (
  SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last})
SELECT {merchant}, {delivery}, {endpoint}, 'payment_succeeded', 0,
  ({began_ms} + 172800000) * 1000 + n, n, 1, 1, 'standard', 1, 'http_5xx'
FROM series;

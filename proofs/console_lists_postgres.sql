-- Stocks of the console's lists for PostgreSQL; see console_lists_sqlite.sql.

-- name: events
INSERT INTO events (merchant_id, id, routing_version, fan_out, type, family, object_type,
  object_id, data)
SELECT {merchant}, (lpad(to_hex({at_ms}), 12, '0') || lpad(to_hex(n), 15, '0') || '00000')::uuid,
  1, CASE WHEN {selected} THEN 2 ELSE 0 END, {type}, 'shop', 'payment', 'pay_' || n / 3,
  convert_to({data}, 'UTF8')
FROM generate_series({first}::bigint, {last}::bigint) AS n;

-- name: deliveries
INSERT INTO deliveries (merchant_id, id, endpoint_id, finished_at, delivered_at, fence,
  attempts_made, dialect_version, state, event_type, dialect, reason)
SELECT {merchant}, (lpad(to_hex({at_ms}), 12, '0') || lpad(to_hex(n), 15, '0')
  || lpad(to_hex({number}), 5, '0'))::uuid, p.id, to_timestamp(({at_ms}) / 1000.0),
  to_timestamp(({at_ms}) / 1000.0), 1, 1, 1, {state}, {type}, 'standard', {reason}
FROM generate_series({first}::bigint, {last}::bigint) AS n
CROSS JOIN (VALUES (0), (1)) AS sides (side)
JOIN endpoints AS p ON p.merchant_id = {merchant} AND p.number = {number}
WHERE {selected} AND NOT ({undone}) ORDER BY n, side;

-- name: attempts
INSERT INTO attempts (merchant_id, delivery_id, at, fence, status, late, detail, peer)
SELECT {merchant}, (lpad(to_hex({at_ms}), 12, '0') || lpad(to_hex(n), 15, '0')
  || lpad(to_hex({number}), 5, '0'))::uuid, to_timestamp(({at_ms}) / 1000.0), 1, 200, false, '',
  '127.0.0.1'
FROM generate_series({first}::bigint, {last}::bigint) AS n
CROSS JOIN (VALUES (0), (1)) AS sides (side)
WHERE {selected} AND NOT ({undone});

-- name: queue
INSERT INTO queue (merchant_id, id, endpoint_id, due_at, state, attempts_made, fence,
  dialect_version, shard, event_type, dialect, reason)
SELECT {merchant}, (lpad(to_hex({at_ms}), 12, '0') || lpad(to_hex(n), 15, '0')
  || lpad(to_hex({number}), 5, '0'))::uuid, p.id,
  to_timestamp(({at_ms} + {day_ms} * 2) / 1000.0), 0, n % 2, 1, 1,
  (SELECT shard FROM merchants WHERE id = {merchant}), {type}, 'standard',
  CASE WHEN n % 2 = 1 THEN 'http_5xx' END
FROM generate_series({first}::bigint, {last}::bigint) AS n
CROSS JOIN (VALUES (0), (1)) AS sides (side)
JOIN endpoints AS p ON p.merchant_id = {merchant} AND p.number = {number}
WHERE {selected} AND {undone};

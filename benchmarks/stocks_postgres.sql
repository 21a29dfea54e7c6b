-- Stocks for PostgreSQL. Words in braces are filled in by stocks.py; {event} and {delivery} are
-- the ids of the n-th, spread over the last day.

-- name: events
INSERT INTO events (merchant_id, id, routing_version, fan_out, type, family, object_type,
  object_id, data)
SELECT {merchant}, {event}, 1, 1, 'payment_succeeded', 'owngateway', 'payment', 'pay_' || n,
  convert_to('{{"id":"pay_' || n || '","amount":"1250.00","currency":"EUR"}}', 'UTF8')
FROM generate_series({first}::bigint, {last}::bigint) AS n;

-- name: deliveries
INSERT INTO deliveries (merchant_id, id, endpoint_id, finished_at, delivered_at, fence,
  attempts_made, dialect_version, state, event_type, dialect)
SELECT {merchant}, {delivery}, {endpoint}, now(), now(), 1, 1, 1, 3, 'payment_succeeded',
  'standard'
FROM generate_series({first}::bigint, {last}::bigint) AS n;

-- name: attempts
INSERT INTO attempts (merchant_id, delivery_id, at, fence, status, late, detail, peer)
SELECT {merchant}, {delivery}, now(), 1, 200, false, '', '127.0.0.1'
FROM generate_series({first}::bigint, {last}::bigint) AS n;

-- name: keys
INSERT INTO idempotency (key, event_id, content, deliveries, event_type)
SELECT md5('key' || n)::uuid, {event}, md5('content' || n)::uuid, 1, 'payment_succeeded'
FROM generate_series({first}::bigint, {last}::bigint) AS n;

-- name: queue
INSERT INTO queue (merchant_id, id, endpoint_id, due_at, state, attempts_made, fence,
  dialect_version, shard, event_type, dialect, reason)
SELECT {merchant}, {delivery}, {endpoint}, now() + interval '1 day' + n * interval '1 ms', 0,
  1, 1, 1, (SELECT shard FROM merchants WHERE id = {merchant}), 'payment_succeeded',
  'standard', 'http_5xx'
FROM generate_series({first}::bigint, {last}::bigint) AS n;

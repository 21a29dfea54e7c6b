-- Acceptance. Rows come many to a statement: see connection.py.

-- All that a batch must know, in one row. The lanes are those that may be handed off: nothing
-- is due there, nothing rests, nothing counts, nothing is on its way.
-- name: look
SELECT
  (SELECT json_group_array(json_array(hex(merchant_id), version)) FROM routing
   WHERE merchant_id IN (SELECT value FROM carray(?1))),
  (SELECT json_group_array(json_array(hex(key), hex(event_id), hex(content), event_type,
     deliveries)) FROM idempotency WHERE key IN (SELECT value FROM carray(?2))),
  (SELECT json_group_array(hex(l.endpoint_id)) FROM lanes AS l
   WHERE l.endpoint_id IN (SELECT value FROM carray(?3))
   AND l.state = 0 AND l.look_at > ?4 AND l.rest_until <= ?4
   AND l.circuit_open = 0 AND l.rate_per_s IS NULL
   AND NOT EXISTS (SELECT 1 FROM wakes AS w WHERE w.endpoint_id = l.endpoint_id));

-- name: known_events
WITH arrived (merchant_id, id) AS (VALUES :rows)
SELECT e.id FROM arrived CROSS JOIN events AS e
ON e.merchant_id = arrived.merchant_id AND e.id = arrived.id;

-- name: still_leased
SELECT id FROM queue
WHERE merchant_id = ? AND id BETWEEN ? AND ? AND state = 1 AND owner = ? AND fence = 1;

-- name: insert_keys
INSERT INTO idempotency (key, event_id, content, event_type, deliveries) VALUES :rows;

-- name: insert_events
INSERT INTO events (id, merchant_id, type, family, object_type, object_id, occurred_at,
  ordering_key, metadata, idempotency, routing_version, fan_out, data, findings) VALUES :rows;

-- name: insert_queue
INSERT INTO queue (merchant_id, id, endpoint_id, event_type, state, due_at, position,
  order_key, fence, owner, lease_until, dialect, dialect_version) VALUES :rows;

-- name: insert_wakes
INSERT INTO wakes (endpoint_id, order_key, due_at) VALUES :rows;

-- name: version_of
SELECT version FROM routing WHERE merchant_id = ?;

-- name: routing_of
SELECT r.version, m.document FROM routing AS r JOIN merchants AS m ON m.id = r.merchant_id
WHERE r.merchant_id = ?;

-- name: endpoints_of
SELECT document FROM endpoints WHERE merchant_id = ? AND deleted = 0 ORDER BY number;

-- name: secrets_of
SELECT document FROM secrets
WHERE merchant_id = ?1 AND (expires_at IS NULL OR expires_at > ?2) ORDER BY created_at, id;

-- name: keys_of
SELECT document FROM api_keys
WHERE merchant_id = ?1 AND revoked = 0 AND (expires_at IS NULL OR expires_at > ?2) ORDER BY id;

-- name: connectors_of
SELECT document FROM connectors WHERE merchant_id = ? AND deleted = 0 ORDER BY id;

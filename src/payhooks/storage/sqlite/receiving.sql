-- Connectors and receipts. Rows come many to a statement: see connection.py.

-- name: connector
SELECT document FROM connectors WHERE merchant_id = ? AND id = ?;

-- name: connectors
SELECT document FROM connectors
WHERE merchant_id = ? AND deleted = 0 AND id < ? ORDER BY id DESC LIMIT ?;

-- name: health
SELECT connector_id, received, unverified, last_received_at, last_unverified_at, quarantined,
  quarantined_bytes, dropped
FROM connector_health WHERE merchant_id = ? AND connector_id IN (SELECT value FROM carray(?));

-- name: keep
INSERT INTO receipts (merchant_id, id, connector_id, state, owner, claimed_until, document, body)
VALUES :rows ON CONFLICT DO NOTHING RETURNING id;

-- name: count
INSERT INTO connector_health (merchant_id, connector_id, received, unverified, last_received_at,
  last_unverified_at, quarantined, quarantined_bytes) VALUES :rows
ON CONFLICT (merchant_id, connector_id) DO UPDATE SET
  received = received + excluded.received,
  unverified = unverified + excluded.unverified,
  last_received_at = max(last_received_at, excluded.last_received_at),
  last_unverified_at = max(last_unverified_at, excluded.last_unverified_at),
  quarantined = quarantined + excluded.quarantined,
  quarantined_bytes = quarantined_bytes + excluded.quarantined_bytes
RETURNING merchant_id, connector_id, quarantined, quarantined_bytes;

-- name: quarantined
SELECT id, length(body) FROM receipts INDEXED BY receipts_connector
WHERE merchant_id = ? AND connector_id = ? AND state = 'quarantined' ORDER BY id;

-- name: leave_quarantine
UPDATE connector_health SET quarantined = quarantined - ?3,
  quarantined_bytes = quarantined_bytes - ?4, dropped = dropped + ?5
WHERE merchant_id = ?1 AND connector_id = ?2;

-- name: forget_receipts
DELETE FROM receipts WHERE (merchant_id, id) IN (VALUES :rows);

-- From the oldest: those on the way that somebody holds are no more than fit in their memory.
-- name: free_receipts
SELECT merchant_id, id, document, body, state, detail, word, object_type, object_id
FROM receipts INDEXED BY receipts_waiting
WHERE state = 'received' AND claimed_until <= ? ORDER BY id LIMIT ?;

-- name: claim
UPDATE receipts SET owner = ?, claimed_until = ? WHERE (merchant_id, id) IN (VALUES :rows);

-- name: rest
UPDATE receipts SET claimed_until = ?3
WHERE merchant_id = ?1 AND id = ?2 AND state = 'received';

-- name: give_back
UPDATE receipts SET owner = NULL, claimed_until = 0
WHERE state = 'received' AND owner IS NOT NULL;

-- name: receipt
SELECT document, body, state, detail, word, object_type, object_id FROM receipts
WHERE merchant_id = ? AND id = ?;

-- name: all_ids
SELECT id FROM receipts WHERE merchant_id = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: ids_in_state
SELECT id FROM receipts INDEXED BY receipts_state
WHERE merchant_id = ? AND state = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: count_in_state
SELECT count(*) FROM (
  SELECT 1 FROM receipts INDEXED BY receipts_state
  WHERE merchant_id = ? AND state = ? AND id >= ? LIMIT ?
);

-- name: ids_of_connector
SELECT id FROM receipts INDEXED BY receipts_connector
WHERE merchant_id = ? AND connector_id = ? AND state = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: oldest_of_connector
SELECT id FROM receipts INDEXED BY receipts_connector
WHERE merchant_id = ? AND connector_id = ? AND state = ? AND id > ? ORDER BY id LIMIT ?;

-- name: with_ids
SELECT document, body, state, detail, word, object_type, object_id FROM receipts
WHERE merchant_id = ? AND id IN (SELECT value FROM carray(?)) ORDER BY id DESC;

-- name: put_back
UPDATE receipts SET state = 'received', owner = NULL, claimed_until = 0, detail = NULL,
  word = NULL, object_type = NULL, object_id = NULL, document = ?3
WHERE merchant_id = ?1 AND id = ?2;

-- name: old
SELECT merchant_id, id, connector_id, state, length(body) FROM receipts INDEXED BY receipts_age
WHERE state <> 'received' AND id < ? ORDER BY id LIMIT ?;

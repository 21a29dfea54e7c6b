-- Configuration: a few columns that are asked, and the document.

-- name: insert_merchant
INSERT INTO merchants (id, reference, version, document) VALUES (?1, ?2, ?3, ?4);

-- name: update_merchant
UPDATE merchants SET reference = ?2, version = ?3, document = ?4
WHERE id = ?1 AND version = ?3 - 1;

-- name: reference_owner
SELECT id FROM merchants WHERE reference = ?;

-- name: raise_version
INSERT INTO routing (merchant_id, version) VALUES (?, 1)
ON CONFLICT (merchant_id) DO UPDATE SET version = version + 1 RETURNING version;

-- name: insert_endpoint
INSERT INTO endpoints (id, merchant_id, number, version, deleted, document)
VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING;

-- name: update_endpoint
UPDATE endpoints SET version = ?4, deleted = ?5, document = ?6
WHERE id = ?1 AND merchant_id = ?2 AND number = ?3 AND version = ?4 - 1;

-- name: insert_history
INSERT INTO endpoint_history (merchant_id, number, version, endpoint_id, document)
VALUES (?, ?, ?, ?, ?);

-- Opened anew, or moved to another URL (?8), it forgets rest, circuit and failures: a person
-- believes that it works now.
-- name: write_lane
INSERT INTO lanes (endpoint_id, merchant_id, state, look_at, rate_per_s, lease_us, listened_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (endpoint_id) DO UPDATE SET
  state = ?3, rate_per_s = ?5, lease_us = ?6,
  look_at = CASE WHEN ?3 <> 0 THEN look_at WHEN state <> 0 OR ?8 THEN ?7
    ELSE max(min(look_at, ?7), rest_until, probe_until) END,
  rest_until = CASE WHEN ?3 = 0 AND (state <> 0 OR ?8) THEN ?7 ELSE rest_until END,
  circuit_open = CASE WHEN ?3 = 0 AND (state <> 0 OR ?8) THEN 0 ELSE circuit_open END,
  probe_until = CASE WHEN ?3 = 0 AND (state <> 0 OR ?8) THEN 0 ELSE probe_until END,
  failing_since = CASE WHEN ?3 = 0 AND (state <> 0 OR ?8) THEN NULL ELSE failing_since END,
  warned = CASE WHEN ?3 = 0 AND (state <> 0 OR ?8) THEN 0 ELSE warned END;

-- name: unblock_lane
DELETE FROM order_blocks WHERE endpoint_id = ? RETURNING endpoint_id, order_key;

-- name: insert_wakes
INSERT INTO wakes (endpoint_id, order_key, due_at) VALUES :rows;

-- name: secret_ids
SELECT id FROM secrets WHERE merchant_id = ? AND owner_id = ?;

-- name: write_secret
INSERT INTO secrets (id, merchant_id, owner_id, created_at, expires_at, sealed, document)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, sealed = excluded.sealed,
  document = excluded.document;

-- name: secret_to_end
SELECT document FROM secrets WHERE id = ?;

-- name: forget_secret
DELETE FROM secrets WHERE id = ?;

-- name: live_key
SELECT 1 FROM api_keys WHERE id = ? AND revoked = 0;

-- As text, where nothing else can be this id: a document that cannot be read must keep no key open.
-- name: signs
SELECT 1 FROM endpoints
WHERE merchant_id = ? AND deleted = 0 AND instr(CAST(document AS TEXT), ?) > 0 LIMIT 1;

-- name: write_key
INSERT INTO api_keys (id, merchant_id, digest, expires_at, revoked, document)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, revoked = excluded.revoked,
  document = excluded.document;

-- How far it is stays: a slice may have been put on its way since it was read.
-- name: write_replay
INSERT INTO replays (id, merchant_id, running, document) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (id) DO UPDATE SET running = ?3, document = CAST(json_set(CAST(?4 AS TEXT),
  '$.queued', json_extract(CAST(document AS TEXT), '$.queued'),
  '$.cursor', json_extract(CAST(document AS TEXT), '$.cursor'),
  '$.behind', json(json_extract(CAST(document AS TEXT), '$.behind'))) AS BLOB)
WHERE running = 1;

-- name: insert_event_type
INSERT INTO event_types (family, name, version, document) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO NOTHING;

-- name: update_event_type
UPDATE event_types SET version = ?3, document = ?4
WHERE family = ?1 AND name = ?2 AND version = ?3 - 1;

-- name: name_owner
SELECT id FROM connectors WHERE merchant_id = ? AND name = ? AND deleted = 0;

-- name: insert_connector
INSERT INTO connectors (merchant_id, id, name, dialect, version, deleted, document)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (merchant_id, id) DO NOTHING;

-- name: update_connector
UPDATE connectors SET name = ?3, dialect = ?4, version = ?5, deleted = ?6, document = ?7
WHERE merchant_id = ?1 AND id = ?2 AND version = ?5 - 1;

-- name: announce
INSERT INTO announcements (id, document) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: chain_head
SELECT number, hash FROM audit_heads WHERE chain = ?;

-- name: move_head
INSERT INTO audit_heads (chain, number, hash) VALUES (?, ?, ?)
ON CONFLICT (chain) DO UPDATE SET number = excluded.number, hash = excluded.hash;

-- name: insert_audit
INSERT INTO audit_log (chain, number, hash, document) VALUES (?, ?, ?, ?);

-- name: next_number
UPDATE merchants SET last_number = last_number + 1 WHERE id = ? RETURNING last_number;

-- name: merchant
SELECT document FROM merchants WHERE id = ?;

-- name: merchant_by_reference
SELECT document FROM merchants WHERE reference = ?;

-- name: merchants
SELECT document FROM merchants WHERE id < ? ORDER BY id DESC LIMIT ?;

-- name: endpoint
SELECT document FROM endpoints WHERE id = ? AND merchant_id = ?;

-- name: endpoints
SELECT document FROM endpoints
WHERE merchant_id = ? AND deleted = 0 AND id < ? ORDER BY id DESC LIMIT ?;

-- name: secrets
SELECT document FROM secrets WHERE merchant_id = ? AND owner_id = ?
ORDER BY created_at DESC, id DESC;

-- name: sealed_under_other
SELECT document FROM secrets WHERE substr(sealed, 1, length(?1)) <> ?1 ORDER BY id LIMIT ?2;

-- name: secret
SELECT document FROM secrets WHERE id = ? AND sealed = ?;

-- name: reseal
UPDATE secrets SET sealed = ?2, document = ?3 WHERE id = ?1;

-- name: key_by_digest
SELECT document FROM api_keys WHERE digest = ?;

-- name: keys
SELECT document FROM api_keys WHERE merchant_id IS ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: audit
SELECT number, document, hash FROM audit_log WHERE chain = ? AND number > ?
ORDER BY number LIMIT ?;

-- name: audit_chains
SELECT chain FROM audit_heads ORDER BY chain;

-- name: audit_latest
SELECT number, document, hash FROM audit_log WHERE chain = ? AND number < ?
ORDER BY number DESC LIMIT ?;

-- name: event_types
SELECT document FROM event_types ORDER BY family, name;

Configuration at rest.

-- name: head_lock
INSERT INTO audit_heads AS h (merchant_id, number, hash) VALUES ($1, 0, $2)
ON CONFLICT (merchant_id) DO UPDATE SET number = h.number
RETURNING number, hash

-- name: head_move
UPDATE audit_heads SET (number, hash) = ($2, $3) WHERE merchant_id = $1

-- name: log
INSERT INTO audit_log (merchant_id, number, hash, document) VALUES ($1, $2, $3, $4)

-- name: merchant_insert
INSERT INTO merchants (id, shard, version, reference, document) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO NOTHING RETURNING id

-- name: merchant_update
UPDATE merchants SET (version, reference, document) = ($2, $3, $4)
WHERE id = $1 AND version = $2 - 1 RETURNING id

-- name: routing_raise
INSERT INTO routing AS r (merchant_id, version) VALUES ($1, 1)
ON CONFLICT (merchant_id) DO UPDATE SET version = r.version + 1
RETURNING version

-- name: endpoint_insert
INSERT INTO endpoints (merchant_id, id, version, number, status, document)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (merchant_id, id) DO NOTHING RETURNING id

-- name: endpoint_update
UPDATE endpoints SET (number, status, document, version) = ($4, $5, $6, $3)
WHERE merchant_id = $1 AND id = $2 AND version = $3 - 1 RETURNING id

-- name: history
INSERT INTO endpoint_history (merchant_id, version, endpoint_id, number, status, listening, events)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: lane
INSERT INTO lanes AS l (endpoint_id, merchant_id, shard, state, lease_s, interval_us, burst,
  listened_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, payhooks_now())
ON CONFLICT (endpoint_id) DO UPDATE SET
  (state, lease_s, interval_us, burst, circuit_open, failing_since, warned, rest_until, look_at) =
  (excluded.state, excluded.lease_s, excluded.interval_us, excluded.burst,
    -- Opened, or moved to another URL ($8), by a person who believes that it works now: nothing
    -- of before counts.
    CASE WHEN excluded.state = 0 AND (l.state <> 0 OR $8) THEN false ELSE l.circuit_open END,
    CASE WHEN excluded.state = 0 AND (l.state <> 0 OR $8) THEN NULL ELSE l.failing_since END,
    CASE WHEN excluded.state = 0 AND (l.state <> 0 OR $8) THEN 0 ELSE l.warned END,
    CASE WHEN excluded.state = 0 AND (l.state <> 0 OR $8) THEN '-infinity' ELSE l.rest_until END,
    CASE WHEN excluded.state <> 0 THEN l.look_at
      WHEN l.state <> 0 OR $8 THEN excluded.listened_at
      ELSE greatest(least(l.look_at, excluded.listened_at), l.rest_until,
        CASE WHEN l.circuit_open THEN l.probe_until END) END)

-- name: unblock_lane
WITH freed AS (
  DELETE FROM order_blocks WHERE endpoint_id = $1 RETURNING endpoint_id, order_key
)
INSERT INTO wakes (endpoint_id, order_key, due_at)
SELECT f.endpoint_id, f.order_key, payhooks_now() FROM freed f

-- name: secret_put
INSERT INTO secrets (id, merchant_id, owner_id, purpose, sealed, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET (merchant_id, owner_id, purpose, sealed, created_at, expires_at) =
  (excluded.merchant_id, excluded.owner_id, excluded.purpose, excluded.sealed,
    excluded.created_at, excluded.expires_at)

-- name: secret_end
UPDATE secrets SET expires_at = least(expires_at, $2) WHERE id = $1

-- name: secrets_forget
DELETE FROM secrets WHERE id = ANY ($1)

-- name: connector_insert
INSERT INTO connectors (merchant_id, id, version, name, dialect, status, document)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (merchant_id, id) DO NOTHING RETURNING id

-- name: connector_update
UPDATE connectors SET (name, dialect, status, document, version) = ($4, $5, $6, $7, $3)
WHERE merchant_id = $1 AND id = $2 AND version = $3 - 1 RETURNING id

-- name: live_key
SELECT 1 FROM api_keys WHERE id = $1 AND revoked_at IS NULL

-- As text, where nothing else can be this id: a document that cannot be read must keep no key open.
-- name: signs
SELECT 1 FROM endpoints
WHERE merchant_id = $1 AND status <> 'deleted' AND strpos(document, $2) > 0 LIMIT 1

-- name: key_put
INSERT INTO api_keys (id, merchant_id, digest, expires_at, revoked_at, document)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET (merchant_id, digest, expires_at, revoked_at, document) =
  (excluded.merchant_id, excluded.digest, excluded.expires_at, excluded.revoked_at,
    excluded.document)

-- How far it is stays: a slice may have been put on its way since it was read.
-- name: replay_put
INSERT INTO replays AS r (merchant_id, id, state, document) VALUES ($1, $2, $3, $4)
ON CONFLICT (merchant_id, id) DO UPDATE SET (state, document) = (excluded.state,
  (excluded.document::jsonb || jsonb_build_object('queued', r.document::jsonb -> 'queued',
    'cursor', r.document::jsonb -> 'cursor', 'behind', r.document::jsonb -> 'behind'))::text)
WHERE r.state = 'running' RETURNING id

-- name: type_insert
INSERT INTO event_types (family, name, version, document) VALUES ($1, $2, $3, $4)
ON CONFLICT (family, name) DO NOTHING RETURNING name

-- name: type_update
UPDATE event_types SET (version, document) = ($3, $4)
WHERE family = $1 AND name = $2 AND version = $3 - 1 RETURNING name

-- name: announce
INSERT INTO announcements (id, document) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING

-- name: next_number
UPDATE merchants SET numbers = numbers + 1 WHERE id = $1 RETURNING numbers

-- name: merchant
SELECT document FROM merchants WHERE id = $1

-- name: merchant_by_reference
SELECT document FROM merchants WHERE reference = $1

-- name: merchants
SELECT document FROM merchants WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2

-- name: endpoint
SELECT document FROM endpoints WHERE merchant_id = $1 AND id = $2

-- name: endpoints
SELECT document FROM endpoints
WHERE merchant_id = $1 AND status <> 'deleted' AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3

-- name: secrets
SELECT id, merchant_id, owner_id, purpose, sealed, created_at, expires_at FROM secrets
WHERE merchant_id = $1 AND owner_id = $2 ORDER BY created_at DESC, id DESC

-- name: secrets_other
SELECT id, merchant_id, owner_id, purpose, sealed, created_at, expires_at FROM secrets
WHERE substring(sealed FROM 1 FOR length($1::bytea)) <> $1 ORDER BY id LIMIT $2

-- name: reseal
UPDATE secrets s SET sealed = u.new FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) u(id, old, new)
WHERE s.id = u.id AND s.sealed = u.old RETURNING s.id

-- name: key_by_digest
SELECT document FROM api_keys WHERE digest = $1

-- name: keys
SELECT document FROM api_keys WHERE merchant_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3

-- name: audit
SELECT number, hash, document FROM audit_log WHERE merchant_id = $1 AND number > $2
ORDER BY number LIMIT $3

-- name: audit_latest
SELECT number, hash, document FROM audit_log
WHERE merchant_id = $1 AND ($2::bigint IS NULL OR number < $2)
ORDER BY number DESC LIMIT $3

-- name: audit_head
SELECT number, hash FROM audit_heads WHERE merchant_id = $1

-- name: audit_chains
SELECT merchant_id FROM audit_heads WHERE number > 0 ORDER BY merchant_id

-- name: event_types
SELECT document FROM event_types ORDER BY family, name

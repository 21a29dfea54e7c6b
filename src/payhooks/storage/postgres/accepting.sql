Accepting, and the routing that fan-out goes by.

-- name: accept
SELECT * FROM accept_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
  $17, $18, $19, $20, $21, $22, $23, $24, $25)

-- name: accept_heard
SELECT * FROM accept_heard_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
  $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34,
  $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52)

-- name: routing_versions
SELECT merchant_id, version FROM routing WHERE merchant_id = ANY ($1)

-- name: routing_merchants
SELECT id, document FROM merchants WHERE id = ANY ($1)

-- name: routing_endpoints
SELECT merchant_id, document FROM endpoints
WHERE merchant_id = ANY ($1) AND status <> 'deleted'
ORDER BY merchant_id, number

-- name: routing_secrets
SELECT id, merchant_id, owner_id, purpose, sealed, created_at, expires_at FROM secrets
WHERE merchant_id = ANY ($1) AND (expires_at IS NULL OR expires_at > payhooks_now())
ORDER BY merchant_id, id

-- name: routing_keys
SELECT merchant_id, document FROM api_keys
WHERE merchant_id = ANY ($1) AND revoked_at IS NULL
  AND (expires_at IS NULL OR expires_at > payhooks_now())
ORDER BY merchant_id, id

-- name: routing_connectors
SELECT merchant_id, document FROM connectors
WHERE merchant_id = ANY ($1) AND status <> 'deleted'
ORDER BY merchant_id, id

Connectors, and receipts with what they are about.

-- name: connector
SELECT document FROM connectors WHERE merchant_id = $1 AND id = $2

-- name: connectors
SELECT document FROM connectors
WHERE merchant_id = $1 AND status <> 'deleted' AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3

-- name: health
SELECT connector_id, received, unverified, last_received_at, last_unverified_at, quarantined,
  quarantined_bytes, dropped
FROM connector_health WHERE merchant_id = $1 AND connector_id = ANY ($2)

-- name: receive
SELECT receive_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- name: claim
SELECT * FROM claim_receipts_v1($1, $2, $3)

-- name: rest
UPDATE receipts r SET claimed_until = payhooks_now() + make_interval(secs => t.for_s)
FROM unnest($1::uuid[], $2::uuid[], $3::float8[]) AS t (merchant_id, id, for_s)
WHERE r.merchant_id = t.merchant_id AND r.id = t.id AND r.state = 0

-- name: conclude
SELECT conclude_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
  $18, $19, $20, $21, $22, $23, $24, $25, $26) AS stale

-- Of older ones, and of those that have retired, only what was told with them.

-- name: heard_before
SELECT r.*, h.said FROM (
  (SELECT h.receipt_id, h.said, true AS whole FROM heard h
  WHERE h.merchant_id = $1 AND h.connector_id = $2 AND h.object_type = $3 AND h.object_id = $4
    AND h.processed
  ORDER BY h.receipt_id DESC LIMIT $5)
  UNION ALL
  (SELECT h.receipt_id, h.said, false FROM heard h
  WHERE h.merchant_id = $1 AND h.connector_id = $2 AND h.object_type = $3 AND h.object_id = $4
    AND h.processed
  ORDER BY h.receipt_id DESC LIMIT $6 OFFSET $5)
  UNION ALL
  (SELECT t.receipt_id, t.said, false FROM told t
  WHERE t.merchant_id = $1 AND t.connector_id = $2 AND t.object_type = $3 AND t.object_id = $4
  ORDER BY t.receipt_id DESC LIMIT $6)
) h LEFT JOIN LATERAL (
  SELECT * FROM receipts r
  WHERE h.whole AND r.merchant_id = $1 AND r.id = h.receipt_id LIMIT 1
) r ON true
ORDER BY h.receipt_id

-- name: receipt
SELECT * FROM receipts WHERE merchant_id = $1 AND id = $2

-- name: receipts
SELECT * FROM receipts WHERE merchant_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3

-- Each connector and state apart, as only so the index gives them by id. By what was heard rather
-- than by what there is: a connector that nothing came by has none.

-- name: receipts_which
SELECT r.* FROM (
  SELECT l.id FROM connector_health h CROSS JOIN unnest($5::smallint[]) s(state)
  CROSS JOIN LATERAL (
    SELECT r.id FROM receipts r
    WHERE r.merchant_id = $1 AND r.connector_id = h.connector_id AND r.state = s.state
      AND r.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    ORDER BY r.id DESC LIMIT $3
  ) l
  WHERE h.merchant_id = $1 AND ($4::uuid IS NULL OR h.connector_id = $4)
  ORDER BY l.id DESC LIMIT $3
) l CROSS JOIN LATERAL (
  SELECT * FROM receipts r WHERE r.merchant_id = $1 AND r.id = l.id LIMIT 1
) r
ORDER BY l.id DESC

-- name: count_receipts
SELECT count(*) FROM (
  SELECT FROM connector_health h CROSS JOIN LATERAL (
    SELECT FROM receipts r
    WHERE r.merchant_id = $1 AND r.connector_id = h.connector_id AND r.state = $2 AND r.id >= $3
    ORDER BY r.id DESC LIMIT $4
  ) r
  WHERE h.merchant_id = $1
  LIMIT $4
) counted

-- name: reprocessable
SELECT r.* FROM (
  SELECT l.id FROM unnest($3::smallint[]) s(state) CROSS JOIN LATERAL (
    SELECT r.id FROM receipts r
    WHERE r.merchant_id = $1 AND r.connector_id = $2 AND r.state = s.state
      AND r.id > coalesce($4::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY r.id LIMIT $5
  ) l
  ORDER BY l.id LIMIT $5
) l CROSS JOIN LATERAL (
  SELECT * FROM receipts r WHERE r.merchant_id = $1 AND r.id = l.id LIMIT 1
) r
ORDER BY l.id

-- name: receipts_about
SELECT r.* FROM (
  SELECT l.receipt_id AS id FROM connector_health h CROSS JOIN (VALUES (true), (false)) p(processed)
  CROSS JOIN LATERAL (
    SELECT o.receipt_id FROM heard o
    WHERE o.merchant_id = $1 AND o.object_type = $4 AND o.object_id = $5
      AND o.connector_id = h.connector_id AND o.processed = p.processed
      AND o.receipt_id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    ORDER BY o.receipt_id DESC LIMIT $3
  ) l
  WHERE h.merchant_id = $1
  ORDER BY l.receipt_id DESC LIMIT $3
) l CROSS JOIN LATERAL (
  SELECT * FROM receipts r WHERE r.merchant_id = $1 AND r.id = l.id LIMIT 1
) r
ORDER BY l.id DESC

-- name: linked_receipts
SELECT r.* FROM (SELECT DISTINCT id FROM unnest($4::uuid[]) u (id)) named
CROSS JOIN LATERAL (
  SELECT h.receipt_id AS id FROM heard h
  WHERE h.merchant_id = $1 AND h.receipt_id = named.id AND h.object_type = $2 AND h.object_id = $3
  LIMIT 1
) l CROSS JOIN LATERAL (
  SELECT * FROM receipts r WHERE r.merchant_id = $1 AND r.id = l.id LIMIT 1
) r
ORDER BY l.id DESC

-- name: reprocess
SELECT reprocess_v1($1, $2, $3, $4) AS count

-- name: retire
SELECT retire_receipts_v2($1, $2) AS count

-- name: forget_said
WITH gone AS (
  DELETE FROM told t WHERE t.ctid = ANY (ARRAY(
    SELECT x.ctid FROM told x WHERE x.receipt_id < $1 ORDER BY x.receipt_id LIMIT $2)) RETURNING 1
) SELECT count(*) AS count FROM gone

-- name: objects_called
SELECT reference, object_type, object_id FROM object_references
WHERE merchant_id = $1 AND reference = $2 ORDER BY object_type, object_id LIMIT $3

-- name: references_of
SELECT reference, object_type, object_id FROM object_references
WHERE merchant_id = $1 AND object_type = $2 AND object_id = $3 ORDER BY reference LIMIT $4

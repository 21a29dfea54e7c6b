What is waited for.

-- name: claim
SELECT * FROM claim_expectations_v2($1, $2, $3)

-- name: claim_moved
SELECT * FROM claim_moved_v1($1, $2)

-- name: reread
SELECT document, due_at, overdue, heard_again FROM expectations
WHERE merchant_id = $1 AND object_type = $2 AND object_id = $3 AND id = $4

-- By its id too: a later one of the same object is none of the caller's, and of one that was heard
-- again he has not seen all.

-- name: write
UPDATE expectations
SET (due_at, overdue, document) = (payhooks_now() + make_interval(secs => $6), $7, $8)
WHERE merchant_id = $1 AND object_type = $2 AND object_id = $3 AND id = $4
  AND heard_again = $5

-- name: forget
DELETE FROM expectations
WHERE merchant_id = $1 AND object_type = $2 AND object_id = $3 AND id = $4
  AND heard_again = $5

-- Each connector apart, as only so the index gives them by id. What a deleted one waited for is
-- forgotten within the hour; until then it is passed over.

-- name: overdue
SELECT o.document, greatest(o.due_at, payhooks_now()) AS due_at, o.overdue, o.heard_again
FROM connectors c CROSS JOIN LATERAL (
  SELECT e.id, e.document, e.due_at, e.overdue, e.heard_again FROM expectations e
  WHERE e.merchant_id = $1 AND e.connector_id = c.id AND e.overdue
    AND e.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  ORDER BY e.id DESC LIMIT $3
) o
WHERE c.merchant_id = $1 AND ($4::uuid IS NULL OR c.id = $4) AND c.status <> 'deleted'
ORDER BY o.id DESC LIMIT $3

-- name: overdue_counts
SELECT c.dialect, sum(o.count)::bigint AS count FROM (
  SELECT e.merchant_id, e.connector_id, count(*) AS count FROM expectations e
  WHERE e.overdue GROUP BY e.merchant_id, e.connector_id
) o JOIN connectors c ON c.merchant_id = o.merchant_id AND c.id = o.connector_id
WHERE c.status <> 'deleted' GROUP BY c.dialect ORDER BY c.dialect

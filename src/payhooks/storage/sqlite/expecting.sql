-- What is waited for: one row an object.

-- name: due
SELECT merchant_id, object_type, object_id, heard_again, document FROM expectations
WHERE due_at <= ? AND merchant_id NOT IN (SELECT value FROM carray(?))
ORDER BY due_at, id LIMIT ?;

-- name: moved
SELECT merchant_id, object_type, object_id, heard_again, document FROM expectations
WHERE due_at = 0 LIMIT ?;

-- name: claim
UPDATE expectations SET due_at = ?
WHERE (merchant_id, object_type, object_id) IN (VALUES :rows);

-- name: reread
SELECT heard_again, document FROM expectations
WHERE merchant_id = ? AND object_type = ? AND object_id = ? AND id = ?;

-- By its id as well: a later one of the same object is none of the caller's, and of one that was
-- heard again he has not seen all.
-- name: write
UPDATE expectations SET due_at = ?6, overdue = ?7, document = ?8
WHERE merchant_id = ?1 AND object_type = ?2 AND object_id = ?3 AND id = ?4 AND heard_again = ?5;

-- name: forget
DELETE FROM expectations
WHERE merchant_id = ? AND object_type = ? AND object_id = ? AND id = ? AND heard_again = ?;

-- What a deleted connector waited for is forgotten within the hour; until then it is passed over.

-- name: overdue
SELECT heard_again, document, max(due_at, ?5)
FROM expectations AS e INDEXED BY expectations_overdue
WHERE overdue = 1 AND merchant_id = ?1 AND id < ?3 AND (?2 IS NULL OR connector_id = ?2)
AND EXISTS (SELECT 1 FROM connectors AS c
  WHERE c.merchant_id = e.merchant_id AND c.id = e.connector_id AND c.deleted = 0)
ORDER BY id DESC LIMIT ?4;

-- name: overdue_counts
SELECT c.dialect, count(*) FROM expectations AS e INDEXED BY expectations_overdue
JOIN connectors AS c ON c.merchant_id = e.merchant_id AND c.id = e.connector_id
WHERE e.overdue = 1 AND c.deleted = 0 GROUP BY c.dialect ORDER BY c.dialect;

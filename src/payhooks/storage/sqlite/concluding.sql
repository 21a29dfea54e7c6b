-- What became of receipts, and what was told with them.

-- name: conclude
WITH ended (merchant_id, id, state, detail, word, object_type, object_id) AS (VALUES :rows)
UPDATE receipts SET state = ended.state, owner = NULL, claimed_until = 0, detail = ended.detail,
  word = ended.word, object_type = ended.object_type, object_id = ended.object_id
FROM ended
WHERE receipts.merchant_id = ended.merchant_id AND receipts.id = ended.id
AND receipts.state = 'received'
RETURNING id;

-- Of a receipt that was put back none are left: what stands in the way came with this one.
-- name: link
INSERT INTO heard (merchant_id, object_type, object_id, receipt_id, connector_id, said)
VALUES :rows ON CONFLICT DO NOTHING;

-- name: call
INSERT INTO object_references (merchant_id, reference, object_type, object_id)
VALUES :rows ON CONFLICT DO NOTHING;

-- What is neither overdue nor due soon nobody judges now, and few of those that move are either.
-- Due at 0, it is judged before all else, and known as what moved.
-- name: hasten
UPDATE expectations SET due_at = 0, heard_again = heard_again + 1
WHERE (overdue = 1 OR due_at <= ?)
AND (merchant_id, object_type, object_id) IN (VALUES :rows);

-- name: make_room
DELETE FROM expectations WHERE (merchant_id, object_type, object_id) IN (VALUES :rows)
AND EXISTS (SELECT 1 FROM connectors AS c WHERE c.merchant_id = expectations.merchant_id
  AND c.id = expectations.connector_id AND c.deleted = 1);

-- name: expect
INSERT INTO expectations (merchant_id, object_type, object_id, id, connector_id, due_at, overdue,
  document) VALUES :rows
ON CONFLICT DO UPDATE SET heard_again = expectations.heard_again + 1;

-- Of retired receipts only what was told with them.
-- name: heard_before
SELECT * FROM (
  SELECT h.receipt_id, h.said, r.document, r.body, r.state, r.detail, r.word, r.object_type,
    r.object_id
  FROM heard AS h CROSS JOIN receipts AS r ON r.merchant_id = h.merchant_id AND r.id = h.receipt_id
  WHERE h.merchant_id = ?1 AND h.object_type = ?2 AND h.object_id = ?3 AND h.connector_id = ?4
  AND r.state = 'processed' ORDER BY h.receipt_id DESC LIMIT ?5)
UNION ALL
SELECT *, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM (
  SELECT h.receipt_id, h.said
  FROM heard AS h CROSS JOIN receipts AS r ON r.merchant_id = h.merchant_id AND r.id = h.receipt_id
  WHERE h.merchant_id = ?1 AND h.object_type = ?2 AND h.object_id = ?3 AND h.connector_id = ?4
  AND r.state = 'processed' ORDER BY h.receipt_id DESC LIMIT ?6 OFFSET ?5)
UNION ALL
SELECT *, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM (
  SELECT t.receipt_id, t.said FROM told AS t
  WHERE t.merchant_id = ?1 AND t.object_type = ?2 AND t.object_id = ?3 AND t.connector_id = ?4
  ORDER BY t.receipt_id DESC LIMIT ?6);

-- name: heard_since
SELECT count(*)
FROM heard AS h CROSS JOIN receipts AS r ON r.merchant_id = h.merchant_id AND r.id = h.receipt_id
WHERE h.merchant_id = ? AND h.object_type = ? AND h.object_id = ? AND h.connector_id = ?
AND h.receipt_id >= ? AND r.state = 'processed';

-- name: receipts_about
SELECT r.document, r.body, r.state, r.detail, r.word, r.object_type, r.object_id
FROM heard AS h CROSS JOIN receipts AS r ON r.merchant_id = h.merchant_id AND r.id = h.receipt_id
WHERE h.merchant_id = ? AND h.object_type = ? AND h.object_id = ? AND h.receipt_id < ?
ORDER BY h.receipt_id DESC LIMIT ?;

-- name: linked_receipts
SELECT r.document, r.body, r.state, r.detail, r.word, r.object_type, r.object_id
FROM heard AS h CROSS JOIN receipts AS r ON r.merchant_id = h.merchant_id AND r.id = h.receipt_id
WHERE h.merchant_id = ? AND h.object_type = ? AND h.object_id = ?
AND h.receipt_id IN (SELECT value FROM carray(?))
ORDER BY h.receipt_id DESC;

-- name: objects_called
SELECT reference, object_type, object_id FROM object_references
WHERE merchant_id = ? AND reference = ? ORDER BY object_type, object_id LIMIT ?;

-- name: references_of
SELECT reference, object_type, object_id FROM object_references
WHERE merchant_id = ? AND object_type = ? AND object_id = ? ORDER BY reference LIMIT ?;

-- name: keep_said
INSERT INTO told (merchant_id, object_type, object_id, connector_id, receipt_id, said)
SELECT merchant_id, object_type, object_id, connector_id, receipt_id, said
FROM heard INDEXED BY heard_receipt WHERE (merchant_id, receipt_id) IN (VALUES :rows)
AND said <> '[]' ON CONFLICT DO NOTHING;

-- name: forget_said
DELETE FROM told WHERE (merchant_id, object_type, object_id, connector_id, receipt_id) IN (
  SELECT merchant_id, object_type, object_id, connector_id, receipt_id
  FROM told INDEXED BY told_age WHERE receipt_id < ? ORDER BY receipt_id LIMIT ?);

-- name: unlink
DELETE FROM heard INDEXED BY heard_receipt WHERE (merchant_id, receipt_id) IN (VALUES :rows)
RETURNING merchant_id, object_type, object_id;

-- The names of an object go with the last of its links.
-- name: forget_names
WITH old (merchant_id, object_type, object_id) AS (VALUES :rows)
DELETE FROM object_references
WHERE (merchant_id, object_type, object_id) IN (
  SELECT merchant_id, object_type, object_id FROM old
  WHERE NOT EXISTS (
    SELECT 1 FROM heard AS h WHERE h.merchant_id = old.merchant_id
    AND h.object_type = old.object_type AND h.object_id = old.object_id
  )
);

-- Inboxes, and what was heard in them.

-- name: count_inboxes
SELECT count(*) FROM inboxes WHERE merchant_id = ?;

-- name: insert_inbox
INSERT INTO inboxes (id, merchant_id, digest, document) VALUES (?, ?, ?, ?);

-- name: delete_inbox
DELETE FROM inboxes WHERE id = ? AND merchant_id = ?;

-- name: forget_words
DELETE FROM secrets WHERE merchant_id = ? AND owner_id = ?;

-- name: forget_heard
DELETE FROM inbox_requests WHERE inbox_id = ?;

-- name: inbox
SELECT document FROM inboxes WHERE id = ? AND merchant_id = ?;

-- name: inboxes
SELECT document FROM inboxes WHERE merchant_id = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: inbox_with
SELECT document FROM inboxes WHERE digest = ?;

-- name: hear
INSERT INTO inbox_requests (inbox_id, id, document)
SELECT id, ?2, ?3 FROM inboxes WHERE id = ?1;

-- name: keep_newest
DELETE FROM inbox_requests WHERE inbox_id = ?1 AND id <= (
  SELECT id FROM inbox_requests WHERE inbox_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2
);

-- name: heard
SELECT h.document FROM inboxes AS i JOIN inbox_requests AS h ON h.inbox_id = i.id
WHERE i.merchant_id = ? AND i.id = ? AND h.id < ? ORDER BY h.id DESC LIMIT ?;

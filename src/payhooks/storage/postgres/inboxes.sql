Inboxes, and what was heard in them.

-- name: count_inboxes
SELECT count(*) AS count FROM inboxes WHERE merchant_id = $1

-- name: insert_inbox
INSERT INTO inboxes (merchant_id, id, digest, document) VALUES ($1, $2, $3, $4)

-- name: delete_inbox
DELETE FROM inboxes WHERE merchant_id = $1 AND id = $2 RETURNING id

-- name: forget_words
DELETE FROM secrets WHERE merchant_id = $1 AND owner_id = $2

-- name: forget_heard
DELETE FROM inbox_requests WHERE inbox_id = $1

-- name: inbox
SELECT document FROM inboxes WHERE merchant_id = $1 AND id = $2

-- name: inboxes
SELECT document FROM inboxes WHERE merchant_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3

-- name: inbox_with
SELECT document FROM inboxes WHERE digest = $1

-- A request that comes while its inbox is closed waits for that, and is kept no more.

-- name: hear
INSERT INTO inbox_requests (inbox_id, id, document)
SELECT i.id, $3, $4 FROM inboxes i WHERE i.merchant_id = $1 AND i.id = $2 FOR SHARE
ON CONFLICT (inbox_id, id) DO NOTHING

-- name: keep_newest
DELETE FROM inbox_requests WHERE inbox_id = $1 AND id <= (
  SELECT h.id FROM inbox_requests h WHERE h.inbox_id = $1 ORDER BY h.id DESC LIMIT 1 OFFSET $2
)

-- name: heard
SELECT h.document FROM inboxes i JOIN inbox_requests h ON h.inbox_id = i.id
WHERE i.merchant_id = $1 AND i.id = $2 AND ($3::uuid IS NULL OR h.id < $3)
ORDER BY h.id DESC LIMIT $4

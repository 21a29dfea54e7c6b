People: a few columns that are asked, and the document; sessions are columns alone.

-- name: user_insert
INSERT INTO users (id, username, email, version, disabled, document)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING RETURNING id

-- name: user_update
UPDATE users SET (username, email, version, disabled, document) = ($2, $3, $4, $5, $6)
WHERE id = $1 AND version = $4 - 1 RETURNING id

-- name: user
SELECT document FROM users WHERE id = $1

-- name: user_by_name
SELECT document FROM users WHERE username = $1 OR email = $1

-- name: users
SELECT document FROM users WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2

-- name: join
INSERT INTO memberships (merchant_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (merchant_id, user_id) DO NOTHING RETURNING user_id

-- name: role_set
UPDATE memberships SET role = $4 WHERE merchant_id = $1 AND user_id = $2 AND role = $3
RETURNING user_id

-- name: leave
DELETE FROM memberships WHERE merchant_id = $1 AND user_id = $2 AND role = $3 RETURNING user_id

-- In one order, so that two who lock the same owners wait and do not deadlock.
-- name: owners_lock
SELECT FROM memberships WHERE role = 'owner' AND merchant_id IN (
  SELECT merchant_id FROM memberships
  WHERE user_id = $1 AND role = 'owner' AND ($2::uuid IS NULL OR merchant_id = $2))
ORDER BY merchant_id, user_id FOR UPDATE

-- name: owned_alone
SELECT m.merchant_id FROM memberships m
WHERE m.user_id = $1 AND m.role = 'owner' AND ($2::uuid IS NULL OR m.merchant_id = $2)
  AND NOT EXISTS (
    SELECT FROM memberships o JOIN users u ON u.id = o.user_id
    WHERE o.merchant_id = m.merchant_id AND o.user_id <> $1 AND o.role = 'owner' AND NOT u.disabled)
LIMIT 1

-- name: memberships
SELECT user_id, merchant_id, role, created_at FROM memberships
WHERE user_id = $1 ORDER BY merchant_id

-- name: merchants_of
SELECT m.document FROM memberships t JOIN merchants m ON m.id = t.merchant_id
WHERE t.user_id = $1 ORDER BY t.merchant_id

-- name: member
SELECT u.document, m.user_id, m.merchant_id, m.role, m.created_at
FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.merchant_id = $1 AND m.user_id = $2

-- name: members
SELECT u.document, m.user_id, m.merchant_id, m.role, m.created_at
FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.merchant_id = $1 AND ($2::uuid IS NULL OR m.user_id < $2)
ORDER BY m.user_id DESC LIMIT $3

-- name: invitation_insert
INSERT INTO invitations (id, merchant_id, digest, document) VALUES ($1, $2, $3, $4)

-- name: invitation_forget
DELETE FROM invitations WHERE id = $1 RETURNING id

-- name: invitation
SELECT document FROM invitations WHERE digest = $1

-- name: invitations
SELECT document FROM invitations WHERE merchant_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3

-- Locked, so that whoever changes the user now comes after us, and ends this session too.
-- name: session_open
INSERT INTO sessions (id, digest, user_id, merchant_id, created_at, seen_at, factor_at, ip, agent)
SELECT $2, $3, id, $5, $6, $7, $8, $9, $10 FROM (
  SELECT id FROM users WHERE id = $4 AND version = $1 FOR SHARE) u
RETURNING id

-- name: factor_give
UPDATE sessions SET factor_at = $2 WHERE id = $1 RETURNING id

-- name: sessions_end_these
DELETE FROM sessions WHERE id = ANY ($1::uuid[])

-- name: sessions_end
DELETE FROM sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2

-- One row for each membership, or one without: all of one moment. The user is in the first alone,
-- for a kilobyte in each of five hundred would be sent with every request.
-- name: signed_in
SELECT s.*, CASE WHEN row_number() OVER (ORDER BY m.merchant_id) = 1 THEN u.document END AS document,
  m.merchant_id AS member_of, m.role, m.created_at AS member_since
FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN memberships m ON m.user_id = u.id
WHERE s.digest = $1 ORDER BY m.merchant_id

-- name: sessions
SELECT * FROM sessions WHERE user_id = $1 ORDER BY id DESC

-- name: seen
UPDATE sessions SET seen_at = greatest(seen_at, $2) WHERE id = $1

-- name: look_at
UPDATE sessions SET merchant_id = $2 WHERE id = $1

-- name: sessions_forget
DELETE FROM sessions WHERE id IN (
  SELECT id FROM sessions WHERE seen_at < $1 OR created_at < $2 LIMIT $3
  FOR UPDATE SKIP LOCKED) RETURNING id

-- Rows that are not there yet are made first, so that there is something to lock.
-- name: tries_make
INSERT INTO sign_in_tries (subject, count, last_at)
SELECT subject, 0, $2 FROM unnest($1::bytea[]) u(subject) ORDER BY subject
ON CONFLICT (subject) DO NOTHING

-- name: tries_lock
SELECT subject, count, last_at FROM sign_in_tries WHERE subject = ANY ($1::bytea[])
ORDER BY subject FOR UPDATE

-- name: tries_write
UPDATE sign_in_tries SET (count, last_at) = ($2, $3) WHERE subject = $1

-- name: tries_forget
DELETE FROM sign_in_tries WHERE subject = $1

-- name: try_take_back
UPDATE sign_in_tries SET count = count - 1 WHERE subject = $1 AND count > 0

-- name: tries_forget_old
DELETE FROM sign_in_tries WHERE subject IN (
  SELECT subject FROM sign_in_tries WHERE last_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)

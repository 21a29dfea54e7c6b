-- People: a few columns that are asked, and the document; sessions are columns alone.

-- name: user_version
SELECT version FROM users WHERE id = ?;

-- name: write_user
INSERT INTO users (id, username, email, version, disabled, document) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET username = excluded.username, email = excluded.email,
  version = excluded.version, disabled = excluded.disabled, document = excluded.document;

-- name: names_taken
SELECT 1 FROM users WHERE id <> ?1 AND (username IN (?2, ?3) OR email IN (?2, ?3));

-- name: user
SELECT document FROM users WHERE id = ?;

-- name: user_by_name
SELECT document FROM users WHERE username = ?1 OR email = ?1;

-- name: users
SELECT document FROM users WHERE id < ? ORDER BY id DESC LIMIT ?;

-- name: join
INSERT INTO memberships (merchant_id, user_id, role, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT (merchant_id, user_id) DO NOTHING;

-- name: set_role
UPDATE memberships SET role = ?4 WHERE merchant_id = ?1 AND user_id = ?2 AND role = ?3;

-- name: leave
DELETE FROM memberships WHERE merchant_id = ? AND user_id = ? AND role = ?;

-- name: owner_beside
SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.merchant_id = ?1 AND m.user_id <> ?2 AND m.role = 'owner' AND u.disabled = 0 LIMIT 1;

-- name: memberships
SELECT user_id, merchant_id, role, created_at FROM memberships
WHERE user_id = ? ORDER BY merchant_id;

-- name: merchants_of
SELECT m.document FROM memberships t JOIN merchants m ON m.id = t.merchant_id
WHERE t.user_id = ? ORDER BY t.merchant_id;

-- name: member
SELECT u.document, m.user_id, m.merchant_id, m.role, m.created_at
FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.merchant_id = ? AND m.user_id = ?;

-- name: members
SELECT u.document, m.user_id, m.merchant_id, m.role, m.created_at
FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.merchant_id = ? AND m.user_id < ? ORDER BY m.user_id DESC LIMIT ?;

-- name: insert_invitation
INSERT INTO invitations (id, merchant_id, digest, document) VALUES (?, ?, ?, ?);

-- name: forget_invitation
DELETE FROM invitations WHERE id = ?;

-- name: invitation
SELECT document FROM invitations WHERE digest = ?;

-- name: invitations
SELECT document FROM invitations WHERE merchant_id = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- name: open_session
INSERT INTO sessions (id, digest, user_id, merchant_id, created_at, seen_at, factor_at, ip, agent)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: give_factor
UPDATE sessions SET factor_at = ?2 WHERE id = ?1;

-- name: end_session
DELETE FROM sessions WHERE id = ?;

-- name: end_sessions
DELETE FROM sessions WHERE user_id = ?1 AND id IS NOT ?2;

-- name: signed_in
SELECT s.id, s.digest, s.user_id, s.merchant_id, s.created_at, s.seen_at, s.factor_at, s.ip,
  s.agent, u.document
FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.digest = ?;

-- name: sessions
SELECT id, digest, user_id, merchant_id, created_at, seen_at, factor_at, ip, agent
FROM sessions WHERE user_id = ? ORDER BY id DESC;

-- name: seen
UPDATE sessions SET seen_at = max(seen_at, ?2) WHERE id = ?1;

-- name: look_at
UPDATE sessions SET merchant_id = ?2 WHERE id = ?1;

-- name: forget_sessions
DELETE FROM sessions WHERE id IN (
  SELECT id FROM sessions WHERE seen_at < ? OR created_at < ? LIMIT ?);

-- name: tries
SELECT count, last_at FROM sign_in_tries WHERE subject = ?;

-- name: write_tries
INSERT INTO sign_in_tries (subject, count, last_at) VALUES (?, ?, ?)
ON CONFLICT (subject) DO UPDATE SET count = excluded.count, last_at = excluded.last_at;

-- name: forget_tries
DELETE FROM sign_in_tries WHERE subject = ?;

-- name: take_back_try
UPDATE sign_in_tries SET count = count - 1 WHERE subject = ? AND count > 0;

-- name: forget_old_tries
DELETE FROM sign_in_tries WHERE subject IN (
  SELECT subject FROM sign_in_tries WHERE last_at < ? LIMIT ?);

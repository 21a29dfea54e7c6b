-- Calling off and sending again.

-- name: undone
SELECT merchant_id, id, endpoint_id, fence, state FROM queue WHERE merchant_id = ? AND id = ?;

-- name: final
SELECT 1 FROM deliveries WHERE merchant_id = ? AND id = ?;

-- name: unblock
DELETE FROM order_blocks WHERE delivery_id = ? RETURNING endpoint_id, order_key;

-- name: insert_wakes
INSERT INTO wakes (endpoint_id, order_key, due_at) VALUES :rows;

-- name: standing
SELECT q.state, d.fence, d.delivered_at, d.reason, d.position, b.position
FROM events AS e JOIN lanes AS l ON l.endpoint_id = ?3 AND l.state <> 3
LEFT JOIN queue AS q ON q.merchant_id = ?1 AND q.id = ?2
LEFT JOIN deliveries AS d ON d.merchant_id = ?1 AND d.id = ?2
LEFT JOIN order_blocks AS b ON b.delivery_id = ?2
WHERE e.merchant_id = ?1 AND e.id = ?4 AND e.expunged = 0;

-- name: hasten
UPDATE queue SET due_at = ?3 WHERE merchant_id = ?1 AND id = ?2 AND state = 0;

-- name: put
INSERT INTO queue (merchant_id, id, endpoint_id, event_type, state, due_at, position, order_key,
  fence, dialect, dialect_version, replay_id, replay_bulk, delivered_at, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- A delivery that is made long after its event is behind where the feed looks for new ones.
-- name: number_late
INSERT INTO feed_entries (endpoint_id, sequence, merchant_id, delivery_id)
SELECT l.endpoint_id, l.feed_last + 1, l.merchant_id, ?2 FROM lanes AS l
WHERE l.endpoint_id = ?1 AND l.feed_id >= ?2
ON CONFLICT (delivery_id) DO NOTHING;

-- name: numbered_late
UPDATE lanes SET feed_last = feed_last + 1 WHERE endpoint_id = ?;

-- What put nothing on its way, and stands nowhere. It has no place in any order.
-- name: write_off
INSERT INTO deliveries (merchant_id, id, endpoint_id, event_type, state, fence, attempts_made,
  finished_at, dialect, dialect_version, position)
SELECT e.merchant_id, ?2, ?4, ?5, 5, 0, 0, ?6, ?7, ?8, 0 FROM events AS e
WHERE e.merchant_id = ?1 AND e.id = ?3
AND NOT EXISTS (SELECT 1 FROM queue AS q WHERE q.merchant_id = ?1 AND q.id = ?2)
AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.merchant_id = ?1 AND d.id = ?2);

-- name: expunge
UPDATE events SET data = CAST('null' AS BLOB), metadata = NULL, findings = NULL, expunged = 1
WHERE merchant_id = ? AND id = ?;

-- name: undone_of
SELECT merchant_id, id, endpoint_id, fence FROM queue
WHERE merchant_id = ? AND id BETWEEN ? AND ?;

-- name: forget_answers
DELETE FROM bodies WHERE delivery_id BETWEEN ? AND ?;

-- name: forget_of_another
DELETE FROM rendered WHERE delivery_id = ?2 AND EXISTS (
  SELECT 1 FROM deliveries AS d WHERE d.merchant_id = ?1 AND d.id = ?2
    AND (d.dialect <> ?3 OR d.dialect_version <> ?4)
);

-- name: forget_rendered
DELETE FROM rendered WHERE delivery_id BETWEEN ? AND ?;

-- name: replay
SELECT document FROM replays WHERE id = ? AND merchant_id = ?;

-- name: replays
SELECT document FROM replays WHERE merchant_id = ? AND id < ? ORDER BY id DESC LIMIT ?;

-- By turns: as many of a merchant's jobs go before one as are held already, or wait for longer.
-- name: free_replays
SELECT r.id, r.document FROM (
  SELECT id, claimed_until, row_number() OVER (PARTITION BY merchant_id
    ORDER BY claimed_until <= ?1, claimed_until, id) AS turn
  FROM replays INDEXED BY replays_open WHERE running > 0) AS turns
CROSS JOIN replays AS r ON r.id = turns.id
WHERE turns.claimed_until <= ?1 ORDER BY turns.turn, turns.claimed_until, turns.id LIMIT ?2;

-- name: claim_replay
UPDATE replays SET owner = ?2, claimed_until = ?3 WHERE id = ?1;

-- name: advance_replay
UPDATE replays SET running = ?2, document = ?3
WHERE id = ?1 AND running = 1 AND json_extract(CAST(document AS TEXT), '$.cursor') IS ?4
AND json_extract(CAST(document AS TEXT), '$.queued') = ?5;

-- What is blocked goes with the head of its object: that may wait for a retry, or for a person.
-- name: replay_backlog
SELECT q.endpoint_id, count(*), sum(CASE q.state WHEN 0 THEN q.due_at <= ?2 WHEN 1 THEN 1 ELSE
  NOT EXISTS (SELECT 1 FROM queue AS a INDEXED BY queue_active
    WHERE a.endpoint_id = q.endpoint_id AND a.order_key = q.order_key
    AND a.order_key IS NOT NULL AND a.state < 2 AND a.state = 0 AND a.due_at > ?2)
  AND NOT EXISTS (SELECT 1 FROM order_blocks AS b
    WHERE b.endpoint_id = q.endpoint_id AND b.order_key = q.order_key) END)
FROM queue AS q INDEXED BY queue_replay
WHERE q.replay_id = ?1 AND q.replay_id IS NOT NULL GROUP BY q.endpoint_id ORDER BY q.endpoint_id;

-- name: stopped
UPDATE replays SET running = 0 WHERE id = ? AND merchant_id = ? AND running = 2;

-- name: replay_waiting
SELECT q.merchant_id, q.id, q.endpoint_id, q.fence, q.order_key, d.id IS NOT NULL,
  d.dialect <> q.dialect OR d.dialect_version <> q.dialect_version
FROM queue AS q INDEXED BY queue_replay
LEFT JOIN deliveries AS d ON d.merchant_id = q.merchant_id AND d.id = q.id
WHERE q.replay_id = ? AND q.replay_id IS NOT NULL AND q.merchant_id = ? AND q.state <> 1 LIMIT ?;

-- Only what held its object up was put at its old place; it holds it up again, unless its endpoint
-- is ordered otherwise now, or blocks no more.
-- name: block_again
INSERT INTO order_blocks (endpoint_id, order_key, delivery_id, position)
SELECT q.endpoint_id, q.order_key, q.id, q.position
FROM queue AS q CROSS JOIN deliveries AS d ON d.merchant_id = q.merchant_id AND d.id = q.id
CROSS JOIN endpoints AS e ON e.id = q.endpoint_id
WHERE (q.merchant_id, q.id) IN (VALUES :rows)
AND q.order_key = d.order_key AND q.position = d.position AND e.deleted = 0
AND json_extract(CAST(e.document AS TEXT), '$.on_failed') = 'block'
AND json_extract(CAST(e.document AS TEXT), '$.ordering') <> 'none'
ON CONFLICT DO NOTHING;

-- name: keep_fences
UPDATE deliveries SET fence = (SELECT q.fence FROM queue AS q
  WHERE q.merchant_id = deliveries.merchant_id AND q.id = deliveries.id)
WHERE (merchant_id, id) IN (VALUES :rows);

-- name: forget_sent
DELETE FROM rendered WHERE delivery_id IN (VALUES :rows);

-- name: drop
DELETE FROM queue WHERE (merchant_id, id) IN (VALUES :rows);

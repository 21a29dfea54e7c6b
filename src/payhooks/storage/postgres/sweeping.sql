Upkeep.

-- name: expire
WITH over AS MATERIALIZED (
  SELECT * FROM expire_v1($1, $2)
), blocked AS (
  -- Their rows in queue are gone, but this statement began before that.
  INSERT INTO order_blocks (endpoint_id, order_key, delivery_id)
  SELECT q.endpoint_id, q.order_key, q.id FROM over o
  JOIN queue q ON q.merchant_id = o.merchant_id AND q.id = o.delivery_id
  JOIN endpoints e ON e.merchant_id = o.merchant_id AND e.id = o.endpoint_id
  WHERE o.poisoned AND q.order_key IS NOT NULL AND e.status <> 'deleted'
    AND e.document::jsonb ->> 'on_failed' = 'block'
    AND e.document::jsonb ->> 'ordering' <> 'none'
  ON CONFLICT DO NOTHING
)
SELECT * FROM over

-- An endpoint was edited and holds nothing up any more, but what had failed before was written
-- down a moment after the edit.

-- name: free_objects
WITH slice AS MATERIALIZED (
  SELECT l.merchant_id, l.endpoint_id FROM lanes l
  WHERE $2::uuid IS NULL OR l.endpoint_id > $2 ORDER BY l.endpoint_id LIMIT $1
), holding AS MATERIALIZED (
  SELECT s.merchant_id, s.endpoint_id FROM slice s
  WHERE EXISTS (SELECT FROM order_blocks b WHERE b.endpoint_id = s.endpoint_id)
), held AS MATERIALIZED (
  SELECT b.endpoint_id, b.order_key, b.delivery_id FROM holding h
  JOIN endpoints e ON e.merchant_id = h.merchant_id AND e.id = h.endpoint_id
  JOIN order_blocks b ON b.endpoint_id = h.endpoint_id
  WHERE e.status <> 'deleted' AND (e.document::jsonb ->> 'on_failed' <> 'block'
    OR e.document::jsonb ->> 'ordering' = 'none')
  LIMIT $1 FOR UPDATE OF b SKIP LOCKED
), freed AS (
  DELETE FROM order_blocks b USING held h
  WHERE b.endpoint_id = h.endpoint_id AND b.order_key = h.order_key
    AND b.delivery_id = h.delivery_id
  RETURNING b.endpoint_id, b.order_key
)
INSERT INTO wakes (endpoint_id, order_key, due_at)
SELECT f.endpoint_id, f.order_key, payhooks_now() FROM freed f

-- name: mend_lanes
SELECT * FROM mend_lanes_v2($1, $2)

-- name: cancel_orphans
SELECT cancel_orphans_v1($1) AS count

-- name: cancel_old
WITH old AS MATERIALIZED (
  SELECT q.merchant_id, q.id FROM queue q WHERE q.id < $1 AND q.state <> 1 LIMIT $2
)
SELECT cancel_v1(array_agg(o.merchant_id), array_agg(o.id)) AS ids FROM old o

-- name: undone_oldest
SELECT q.id FROM queue q ORDER BY q.id LIMIT 1

-- name: purge_events
WITH found AS MATERIALIZED (
  SELECT e.merchant_id, e.id, e.fan_out FROM events e
  WHERE e.id < $1 AND NOT EXISTS (SELECT FROM queue q WHERE q.merchant_id = e.merchant_id
    AND q.id > e.id AND q.id <= payhooks_last_of(e.id))
  ORDER BY e.id LIMIT $2 FOR UPDATE OF e SKIP LOCKED
), old AS MATERIALIZED (
  -- As many as go together with all of their deliveries, but one at least.
  SELECT f.merchant_id, f.id FROM (
    SELECT o.merchant_id, o.id, sum(1 + o.fan_out) OVER (ORDER BY o.id) AS together,
      row_number() OVER (ORDER BY o.id) AS n FROM found o) f
  WHERE f.together <= $2 OR f.n = 1
), gone_events AS (
  DELETE FROM events e USING old o WHERE e.merchant_id = o.merchant_id AND e.id = o.id
), gone_deliveries AS (
  DELETE FROM deliveries d USING old o
  WHERE d.merchant_id = o.merchant_id AND d.id > o.id AND d.id <= payhooks_last_of(o.id)
  RETURNING d.endpoint_id, d.id
), gone_attempts AS (
  DELETE FROM attempts a USING old o WHERE a.merchant_id = o.merchant_id
    AND a.delivery_id > o.id AND a.delivery_id <= payhooks_last_of(o.id)
), gone_bodies AS (
  DELETE FROM bodies b USING old o WHERE b.merchant_id = o.merchant_id
    AND b.delivery_id > o.id AND b.delivery_id <= payhooks_last_of(o.id)
), gone_blocks AS (
  DELETE FROM order_blocks b USING gone_deliveries d WHERE b.delivery_id = d.id
  RETURNING b.endpoint_id, b.order_key
), woken AS (
  INSERT INTO wakes (endpoint_id, order_key, due_at)
  SELECT g.endpoint_id, g.order_key, payhooks_now() FROM gone_blocks g
), gone_entries AS (
  DELETE FROM feed_entries f USING gone_deliveries d
  WHERE f.endpoint_id = d.endpoint_id AND f.delivery_id = d.id
)
SELECT count(*) AS count FROM old

-- name: purge_blocks
WITH gone AS (
  DELETE FROM order_blocks b WHERE b.delivery_id IN (
    SELECT x.delivery_id FROM order_blocks x WHERE x.delivery_id < $1 LIMIT $2)
  RETURNING b.endpoint_id, b.order_key
), woken AS (
  INSERT INTO wakes (endpoint_id, order_key, due_at)
  SELECT g.endpoint_id, g.order_key, payhooks_now() FROM gone g
)
SELECT count(*) AS count FROM gone

-- name: purge_keys
WITH gone AS (
  DELETE FROM idempotency k WHERE k.ctid = ANY (ARRAY(
    SELECT i.ctid FROM idempotency i
    WHERE i.event_id < $1 AND NOT EXISTS (SELECT FROM queue q WHERE q.id > i.event_id
      AND q.id <= payhooks_last_of(i.event_id) AND q.state = 1
      -- Says nothing new, but keeps all that is young and under way from being compared.
      AND q.id < $1)
    ORDER BY i.event_id LIMIT $2)) RETURNING 1
) SELECT count(*) AS count FROM gone

-- name: purge_entries
WITH gone AS (
  DELETE FROM feed_entries f WHERE f.ctid = ANY (ARRAY(
    SELECT x.ctid FROM feed_entries x WHERE x.delivery_id < $1
    ORDER BY x.delivery_id LIMIT $2)) RETURNING 1
) SELECT count(*) AS count FROM gone

-- name: youngest_body
SELECT b.kept_at FROM bodies b WHERE b.delivery_id >= $1 AND b.delivery_id < $2
ORDER BY b.kept_at DESC LIMIT 1

-- An answer goes when it is old itself; a rendered body not before its delivery is over, too.
-- name: purge_bodies
WITH old AS MATERIALIZED (
  SELECT b.merchant_id, b.delivery_id, b.kind, b.fence, b.late FROM bodies b
  -- The first says nothing new, but keeps out the days that are young. NOT EXISTS would be
  -- answered by reading all that waits.
  WHERE b.delivery_id < $1 AND b.kept_at < $2 AND (b.kind = 1 OR (
    SELECT q.id FROM queue q
    WHERE q.merchant_id = b.merchant_id AND q.id = b.delivery_id) IS NULL)
  ORDER BY b.kept_at LIMIT $3
), gone AS (
  DELETE FROM bodies b USING old o
  WHERE b.merchant_id = o.merchant_id AND b.delivery_id = o.delivery_id AND b.kind = o.kind
    AND b.fence = o.fence AND b.late = o.late
)
SELECT count(*) AS count FROM old

-- name: failing_lanes
SELECT l.merchant_id, l.endpoint_id, l.warned,
  extract(epoch FROM n.now - l.failing_since)::double precision AS failing_s
FROM (SELECT payhooks_now() AS now) n, lanes l
WHERE l.state = 0 AND l.failing_since <= n.now - make_interval(secs => $1)
ORDER BY l.failing_since LIMIT $2

-- name: warned
UPDATE lanes SET warned = $2 WHERE endpoint_id = $1

-- name: silent_listeners
SELECT l.merchant_id, l.endpoint_id
FROM (SELECT payhooks_now() AS now) n, lanes l
WHERE l.state = 4 AND l.listened_at <= n.now - make_interval(secs => $1)
ORDER BY l.listened_at

-- name: announcements
SELECT document FROM announcements ORDER BY n LIMIT $1 OFFSET $2

-- name: announced
DELETE FROM announcements WHERE id = ANY ($1)

-- name: heartbeat
WITH forgotten AS (
  DELETE FROM workers WHERE owner <> $1 AND seen_at < payhooks_now() - interval '1 hour'
)
INSERT INTO workers (owner, version, seen_at) VALUES ($1, $2, payhooks_now())
ON CONFLICT (owner) DO UPDATE SET (version, seen_at) = (excluded.version, excluded.seen_at)

-- name: settings
SELECT payhooks_now() AS now, current_setting('fsync') AS fsync,
  current_setting('full_page_writes') AS full_page_writes,
  current_setting('synchronous_commit') AS synchronous_commit,
  current_setting('synchronous_standby_names') AS standbys,
  pg_is_in_recovery() AS standby, EXISTS (SELECT FROM pg_stat_replication) AS followed

-- name: workers
SELECT owner, version, extract(epoch FROM payhooks_now() - seen_at)::double precision AS seen_s_ago
FROM workers ORDER BY owner

-- name: pending_states
SELECT state, count(*) AS count FROM queue GROUP BY state

-- name: pending_oldest
SELECT coalesce(max(extract(epoch FROM n.now - q.due_at)), 0)::double precision AS oldest_s
FROM (SELECT payhooks_now() AS now) n, lanes l CROSS JOIN LATERAL (
  SELECT x.due_at FROM queue x WHERE x.endpoint_id = l.endpoint_id AND x.state = 0
  ORDER BY x.due_at, x.position LIMIT 1) q
WHERE l.state = 0 AND q.due_at <= n.now
  -- Most lanes sleep: those that were neither derived nor woken have nothing due.
  AND (l.look_at < 'infinity'
    OR EXISTS (SELECT FROM wakes w WHERE w.endpoint_id = l.endpoint_id))

-- name: pending_endpoints
SELECT status, count(*) AS count FROM endpoints GROUP BY status

-- name: circuits_open
SELECT count(*) AS count FROM lanes WHERE circuit_open AND state <> 3

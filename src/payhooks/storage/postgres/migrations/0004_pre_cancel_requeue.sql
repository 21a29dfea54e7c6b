-- The functions of the control plane: what a person or a job does to waiting deliveries.

-- Ends waiting deliveries as cancelled, and where asked those being sent; returns which.
CREATE FUNCTION cancel_v1(p_merchants uuid[], p_ids uuid[], p_leased boolean DEFAULT false)
RETURNS uuid[] LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_now timestamptz;
  v_ids uuid[];
BEGIN
  IF p_ids IS NULL THEN
    RETURN '{}';
  END IF;
  PERFORM (SELECT 1 FROM queue q WHERE q.merchant_id = u.merchant AND q.id = u.id FOR UPDATE)
  FROM (SELECT x.merchant, x.id FROM unnest(p_merchants, p_ids) x(merchant, id)
    ORDER BY x.merchant, x.id) u;
  v_now := payhooks_now();
  WITH gone AS (
    DELETE FROM queue q USING unnest(p_merchants, p_ids) u(merchant, id)
    WHERE q.merchant_id = u.merchant AND q.id = u.id AND (p_leased OR q.state <> 1)
    RETURNING q.*
  ), final AS (
    INSERT INTO deliveries AS d (merchant_id, id, endpoint_id, order_key, replay_id, position,
      finished_at, delivered_at, fence, attempts_made, dialect_version, state, event_type,
      dialect, reason)
    SELECT g.merchant_id, g.id, g.endpoint_id, g.order_key, g.replay_id,
      CASE WHEN g.order_key IS NOT NULL THEN g.position END, v_now, g.delivered_at, g.fence,
      g.attempts_made, g.dialect_version, 5, g.event_type, g.dialect, g.reason
    FROM gone g
    ON CONFLICT (merchant_id, id) DO UPDATE SET (replay_id, position, finished_at, fence,
      attempts_made, dialect_version, state, dialect, reason) = (excluded.replay_id,
      excluded.position, excluded.finished_at, excluded.fence, excluded.attempts_made,
      excluded.dialect_version, excluded.state, excluded.dialect, excluded.reason)
  ), woken AS (
    INSERT INTO wakes (endpoint_id, order_key, due_at)
    SELECT DISTINCT g.endpoint_id, g.order_key, v_now FROM gone g WHERE g.order_key IS NOT NULL
  )
  SELECT array_agg(g.id) INTO v_ids FROM gone g;
  RETURN coalesce(v_ids, '{}');
END
$$;

-- Puts deliveries on their way (again), in this order; returns how many.
CREATE FUNCTION requeue_v1(
  p_merchants uuid[], p_ids uuid[], p_lanes uuid[], p_types text[], p_order_keys uuid[],
  p_dialects text[], p_dialect_versions int[], p_replay uuid, p_bulk boolean
) RETURNS int LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_now timestamptz;
  v_wanted boolean[];
  v_hastened int;
  v_made int;
BEGIN
  -- What is made now for the first time may have to be numbered in the feed, which is read
  -- under the lane's lock. Lanes go before queue rows, as in fold and lease.
  -- Scalar subqueries here and below: of NOT EXISTS the planner made a join that read the whole
  -- history for each of these rows.
  PERFORM FROM lanes l WHERE l.endpoint_id IN (
    SELECT u.lane FROM unnest(p_merchants, p_ids, p_lanes) u(merchant, id, lane)
    WHERE (SELECT true FROM queue q WHERE q.merchant_id = u.merchant AND q.id = u.id) IS NULL
      AND (SELECT true FROM deliveries d WHERE d.merchant_id = u.merchant AND d.id = u.id)
        IS NULL)
  ORDER BY l.endpoint_id FOR NO KEY UPDATE;
  PERFORM (SELECT 1 FROM queue q WHERE q.merchant_id = u.merchant AND q.id = u.id FOR UPDATE)
  FROM (SELECT x.merchant, x.id FROM unnest(p_merchants, p_ids) x(merchant, id)
    ORDER BY x.merchant, x.id) u;
  v_now := payhooks_now();
  SELECT array_agg(
      EXISTS (SELECT FROM events e WHERE e.merchant_id = u.merchant
        AND e.id = payhooks_event_of(u.id) AND NOT e.expunged)
      AND EXISTS (SELECT FROM lanes l WHERE l.endpoint_id = u.lane AND l.state <> 3)
    ORDER BY u.n) INTO v_wanted
  FROM unnest(p_merchants, p_ids, p_lanes) WITH ORDINALITY u(merchant, id, lane, n);

  WITH hastened AS (
    UPDATE queue q SET due_at = v_now
    FROM unnest(p_merchants, p_ids, v_wanted) u(merchant, id, wanted)
    WHERE u.wanted AND q.merchant_id = u.merchant AND q.id = u.id AND q.state < 1
    RETURNING q.endpoint_id
  ), woken AS (
    INSERT INTO wakes (endpoint_id, due_at) SELECT DISTINCT h.endpoint_id, v_now FROM hastened h
  ) SELECT count(*) INTO v_hastened FROM hastened;

  WITH u AS MATERIALIZED (
    SELECT u.*, d.position AS old_position, coalesce(d.fence, 0) AS fence, d.delivered_at,
      d.reason, EXISTS (SELECT FROM order_blocks b WHERE b.delivery_id = u.id) AS blocks
    FROM unnest(p_merchants, p_ids, p_lanes, p_types, p_order_keys, p_dialects,
        p_dialect_versions, v_wanted) WITH ORDINALITY
      u(merchant, id, lane, type, order_key, dialect, dialect_version, wanted, n)
    LEFT JOIN LATERAL (SELECT d.position, d.fence, d.delivered_at, d.reason FROM deliveries d
      WHERE d.merchant_id = u.merchant AND d.id = u.id LIMIT 1) d ON true
    WHERE u.wanted
      AND (SELECT true FROM queue q WHERE q.merchant_id = u.merchant AND q.id = u.id) IS NULL
    ORDER BY u.n
  ), made AS (
    INSERT INTO queue (merchant_id, shard, id, endpoint_id, order_key, event_type, dialect,
      dialect_version, due_at, state, fence, delivered_at, reason, replay_id, replay_bulk,
      position)
    SELECT u.merchant, get_byte(uuid_send(u.merchant), 15), u.id, u.lane, u.order_key, u.type,
      u.dialect, u.dialect_version, v_now, CASE WHEN u.order_key IS NULL THEN 0 ELSE 2 END,
      u.fence, u.delivered_at, u.reason, p_replay, p_bulk,
      -- What holds its object up goes before those it held up; else a replay counts as new.
      CASE WHEN u.blocks THEN coalesce(u.old_position, 0)
        ELSE nextval(pg_get_serial_sequence('queue', 'position')) END
    FROM u
    ON CONFLICT DO NOTHING
    RETURNING merchant_id, endpoint_id, id, order_key
  ), late AS MATERIALIZED (
    -- Behind where the feed looks for new ones: see docs/adr/0007.
    SELECT m.endpoint_id, m.id, row_number() OVER (PARTITION BY m.endpoint_id ORDER BY m.id) AS n
    FROM made m
    WHERE (SELECT true FROM feed_entries f
        WHERE f.endpoint_id = m.endpoint_id AND f.delivery_id > m.id LIMIT 1)
      AND (SELECT true FROM feed_entries f
        WHERE f.endpoint_id = m.endpoint_id AND f.delivery_id = m.id LIMIT 1) IS NULL
      AND (SELECT true FROM deliveries d WHERE d.merchant_id = m.merchant_id AND d.id = m.id)
        IS NULL
  ), entered AS (
    INSERT INTO feed_entries (endpoint_id, sequence, delivery_id)
    SELECT t.endpoint_id, l.sequence_last + t.n, t.id
    FROM late t JOIN lanes l ON l.endpoint_id = t.endpoint_id
  ), counted AS (
    UPDATE lanes l SET sequence_last = l.sequence_last + c.count
    FROM (SELECT t.endpoint_id, count(*) AS count FROM late t GROUP BY t.endpoint_id) c
    WHERE l.endpoint_id = c.endpoint_id
  ), freed AS (
    DELETE FROM order_blocks b USING made m WHERE b.delivery_id = m.id
    RETURNING b.endpoint_id, b.order_key
  ), woken AS (
    INSERT INTO wakes (endpoint_id, order_key, due_at)
    SELECT m.endpoint_id, m.order_key, v_now FROM made m
    -- The endpoint may be ordered otherwise now: then those it held up go without it.
    UNION SELECT f.endpoint_id, f.order_key, v_now FROM freed f
  ) SELECT count(*) INTO v_made FROM made;
  RETURN v_hastened + v_made;
END
$$;

-- Takes the waiting deliveries of a replay back to how they ended before.
CREATE FUNCTION take_back_v1(p_replay uuid) RETURNS int LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_now timestamptz := payhooks_now();
  v_merchants uuid[];
  v_ids uuid[];
  v_dropped int;
BEGIN
  SELECT array_agg(x.merchant_id), array_agg(x.id) INTO v_merchants, v_ids FROM (
    SELECT q.merchant_id, q.id FROM queue q
    WHERE q.replay_id = p_replay AND q.replay_id IS NOT NULL AND q.state <> 1
    ORDER BY q.merchant_id, q.id FOR UPDATE) x;
  WITH gone AS (
    DELETE FROM queue q USING unnest(v_merchants, v_ids) u(merchant, id)
    WHERE q.merchant_id = u.merchant AND q.id = u.id AND q.state <> 1
      AND (SELECT true FROM deliveries d WHERE d.merchant_id = u.merchant AND d.id = u.id)
    RETURNING q.endpoint_id, q.order_key
  ), woken AS (
    INSERT INTO wakes (endpoint_id, order_key, due_at)
    SELECT DISTINCT g.endpoint_id, g.order_key, v_now FROM gone g WHERE g.order_key IS NOT NULL
  ) SELECT count(*) INTO v_dropped FROM gone;
  -- What was made for the first time has no earlier end: it is called off.
  RETURN v_dropped + cardinality(cancel_v1(v_merchants, v_ids));
END
$$;

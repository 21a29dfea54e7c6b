-- A cancelled replay is taken back in slices. Until nothing of it waits it is 'stopping': whoever
-- claims jobs then finishes what a process that died had begun. Code of before, which knows nothing
-- of that, asks for 'running' only, and takes back all at once, by take_back_v1.

CREATE INDEX replays_open ON replays (held_until) WHERE state IN ('running', 'stopping');

-- Takes waiting deliveries of a replay back to how they ended before, p_limit at most; returns how
-- many. Where there were fewer, nothing of it waits any more.
-- Row by row, each by its whole key. Of a join the planner made one that read all of the history,
-- or all of the queue, wherever it believed that there were few rows of one and many of the other.
CREATE FUNCTION take_back_v2(p_merchant uuid, p_replay uuid, p_limit int)
RETURNS int LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_now timestamptz;
  v_picked uuid[];
  v_one queue;
  v_order_key uuid;
  v_position bigint;
  v_lanes uuid[] := '{}';
  v_order_keys uuid[] := '{}';
  v_new uuid[] := '{}';
  v_back int := 0;
BEGIN
  -- One at a time: another would wait for the very rows of this one, and then find them gone.
  PERFORM FROM replays r WHERE r.merchant_id = p_merchant AND r.id = p_replay FOR NO KEY UPDATE;
  SELECT coalesce(array_agg(x.id), '{}') INTO v_picked FROM (
    SELECT q.id FROM queue q
    WHERE q.replay_id = p_replay AND q.replay_id IS NOT NULL AND q.state <> 1 LIMIT p_limit) x;
  IF cardinality(v_picked) < p_limit THEN
    UPDATE replays r SET state = 'cancelled'
    WHERE r.merchant_id = p_merchant AND r.id = p_replay AND r.state = 'stopping';
  END IF;
  PERFORM (SELECT 1 FROM queue q WHERE q.merchant_id = p_merchant AND q.id = u.id FOR UPDATE)
  FROM (SELECT x.id FROM unnest(v_picked) x(id) ORDER BY x.id) u;
  v_now := payhooks_now();
  FOR v_one IN
    SELECT q.* FROM unnest(v_picked) u(id)
    CROSS JOIN LATERAL (SELECT * FROM queue qq
      WHERE qq.merchant_id = p_merchant AND qq.id = u.id OFFSET 0) q
    -- Before it was locked it may have been leased, or have gone and come again.
    WHERE q.replay_id = p_replay AND q.state <> 1
  LOOP
    -- Those that ended before read so again. But their leases were given since then, and the next
    -- one has another number.
    UPDATE deliveries d SET fence = v_one.fence
    WHERE d.merchant_id = v_one.merchant_id AND d.id = v_one.id
    RETURNING d.order_key, d.position INTO v_order_key, v_position;
    IF NOT FOUND THEN
      v_new := v_new || v_one.id;
      CONTINUE;
    END IF;
    -- Only what held its object up was put at its old place; it holds it up again, unless its
    -- endpoint is ordered otherwise now, or blocks no more.
    IF v_one.order_key = v_order_key AND v_one.position = v_position THEN
      INSERT INTO order_blocks (endpoint_id, order_key, delivery_id)
      SELECT e.id, v_order_key, v_one.id FROM endpoints e
      WHERE e.merchant_id = v_one.merchant_id AND e.id = v_one.endpoint_id
        AND e.status <> 'deleted'
        AND e.document::jsonb ->> 'on_failed' = 'block'
        AND e.document::jsonb ->> 'ordering' <> 'none'
      ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM queue q WHERE q.merchant_id = v_one.merchant_id AND q.id = v_one.id;
    v_back := v_back + 1;
    IF v_one.order_key IS NOT NULL THEN
      v_lanes := v_lanes || v_one.endpoint_id;
      v_order_keys := v_order_keys || v_one.order_key;
    END IF;
  END LOOP;
  INSERT INTO wakes (endpoint_id, order_key, due_at)
  SELECT DISTINCT w.lane, w.order_key, v_now FROM unnest(v_lanes, v_order_keys) w(lane, order_key);
  -- What was made for the first time has no earlier end: it is called off.
  RETURN v_back + cardinality(
    cancel_v1(array_fill(p_merchant, ARRAY[cardinality(v_new)]), v_new));
END
$$;

-- The deliveries of a merchant's events behind p_after, up to those of p_last. A plan that was made
-- while the queue was empty is kept as it fills: then it was read from one end to the other, for
-- each delivery of the history. So both are read by their key, and a scalar subquery looks for each.
CREATE FUNCTION facts_deliveries_v1(p_merchant uuid, p_after uuid, p_last uuid)
RETURNS TABLE (id uuid, state smallint, reason text) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_last uuid := payhooks_last_of(p_last);
BEGIN
  RETURN QUERY
    SELECT q.id, q.state, q.reason FROM queue q
    WHERE q.merchant_id = p_merchant AND q.id > p_after AND q.id <= v_last
    UNION ALL
    SELECT d.id, d.state, d.reason FROM deliveries d
    WHERE d.merchant_id = p_merchant AND d.id > p_after AND d.id <= v_last
      AND (SELECT true FROM queue q WHERE q.merchant_id = d.merchant_id AND q.id = d.id) IS NULL
    ORDER BY 1;
END
$$;

-- As before, but that what goes is found by key, row by row, and not by a join that reads all of the
-- queue where the statistics say that there is nothing in it; old code is as good with it.
CREATE OR REPLACE FUNCTION cancel_v1(
  p_merchants uuid[], p_ids uuid[], p_leased boolean DEFAULT false
) RETURNS uuid[] LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_now timestamptz;
  v_rows tid[];
  v_ids uuid[];
BEGIN
  IF p_ids IS NULL THEN
    RETURN '{}';
  END IF;
  PERFORM (SELECT 1 FROM queue q WHERE q.merchant_id = u.merchant AND q.id = u.id FOR UPDATE)
  FROM (SELECT x.merchant, x.id FROM unnest(p_merchants, p_ids) x(merchant, id)
    ORDER BY x.merchant, x.id) u;
  -- They are locked: where they stand, they stay.
  SELECT array_agg((SELECT q.ctid FROM queue q WHERE q.merchant_id = u.merchant AND q.id = u.id))
    INTO v_rows FROM unnest(p_merchants, p_ids) u(merchant, id);
  v_now := payhooks_now();
  WITH gone AS (
    DELETE FROM queue q WHERE q.ctid = ANY (v_rows) AND (p_leased OR q.state <> 1)
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

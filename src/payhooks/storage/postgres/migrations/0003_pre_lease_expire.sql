-- The functions of workers. They alone, and the control plane, write lanes. Lanes are locked
-- first and everything else is read in a later statement: a snapshot older than the lock would
-- miss what committed in between, and lose a wake-up.

-- Fold: wakes into lanes, heads of ordered keys out of `blocked`. Returns how many lanes.
CREATE FUNCTION fold_v1(p_only uuid, p_lanes_max int, p_wakes_max int)
RETURNS int LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_lanes uuid[];
  v_now timestamptz;
BEGIN
  IF p_only IS NULL THEN
    SELECT array_agg(x.endpoint_id) INTO v_lanes FROM (
      SELECT l.endpoint_id FROM lanes l
      WHERE l.endpoint_id IN (SELECT w.endpoint_id FROM wakes w ORDER BY w.n LIMIT p_lanes_max)
      ORDER BY l.endpoint_id FOR UPDATE SKIP LOCKED) x;
  ELSE
    SELECT array_agg(x.endpoint_id) INTO v_lanes FROM (
      SELECT l.endpoint_id FROM lanes l WHERE l.endpoint_id = p_only
      FOR UPDATE SKIP LOCKED) x;
  END IF;
  IF v_lanes IS NULL THEN
    RETURN 0;
  END IF;
  v_now := payhooks_now();
  -- A delivery and its wake commit together: the wakes deleted here were visible, so their
  -- deliveries are visible to this snapshot too; the others stay for the next look.
  WITH seen AS (
    DELETE FROM wakes w
    USING (SELECT s.n FROM unnest(v_lanes) v(lane) CROSS JOIN LATERAL (
      SELECT ww.n FROM wakes ww WHERE ww.endpoint_id = v.lane ORDER BY ww.n LIMIT p_wakes_max
    ) s) old
    WHERE w.n = old.n
    RETURNING w.endpoint_id, w.order_key, w.due_at
  ), head AS MATERIALIZED (
    SELECT h.merchant_id, h.id FROM (
      SELECT DISTINCT s.endpoint_id, s.order_key FROM seen s WHERE s.order_key IS NOT NULL) k
    CROSS JOIN LATERAL (
      SELECT q.merchant_id, q.id FROM queue q
      WHERE q.endpoint_id = k.endpoint_id AND q.order_key = k.order_key AND q.state = 2
      ORDER BY q.position LIMIT 1) h
    WHERE NOT EXISTS (SELECT FROM queue a
        WHERE a.endpoint_id = k.endpoint_id AND a.order_key = k.order_key
          AND a.state <> 2 AND a.order_key IS NOT NULL)
      AND NOT EXISTS (SELECT FROM order_blocks b
        WHERE b.endpoint_id = k.endpoint_id AND b.order_key = k.order_key)
  ), promoted AS (
    UPDATE queue q SET state = 0, due_at = v_now FROM head h
    WHERE q.merchant_id = h.merchant_id AND q.id = h.id AND q.state > 1
    RETURNING q.endpoint_id
  )
  UPDATE lanes l SET look_at = greatest(least(l.look_at, m.due_at), l.rest_until,
    CASE WHEN l.circuit_open THEN l.probe_until END)
  FROM (
    SELECT x.endpoint_id, min(x.due_at) AS due_at FROM (
      SELECT s.endpoint_id, s.due_at FROM seen s WHERE s.order_key IS NULL
      UNION ALL SELECT p.endpoint_id, v_now FROM promoted p) x
    GROUP BY x.endpoint_id) m
  WHERE l.endpoint_id = m.endpoint_id;
  RETURN cardinality(v_lanes);
END
$$;

-- Fold, then claim due lanes and some deliveries from each, then derive when each lane is next
-- due: never before now, so that the oldest backlog does not win every look. The first row has
-- no id; it tells when to look again.
CREATE FUNCTION lease_v1(
  p_owner int, p_lanes_max int, p_per_lane_max int, p_skip uuid[], p_only uuid,
  p_fold_lanes int, p_fold_wakes int
) RETURNS TABLE (
  id uuid, endpoint_id uuid, merchant_id uuid, fence int, attempts_made int,
  lease_s double precision, order_key uuid, dialect text, dialect_version int, replay_id uuid,
  replay_bulk boolean, rendered bytea, routing_version bigint, lane_failing boolean,
  lane_probe boolean, event_id uuid, type text, family text, data bytea, object_type text,
  object_id text, occurred_at timestamptz, ordering_key text, metadata bytea,
  look_again_s double precision
) LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz;
  v_now_us bigint;
  v_lanes uuid[];
  v_rooms int[];
  v_lease_s double precision[];
  v_merchants uuid[];
  v_ids uuid[];
  v_from uuid[];
BEGIN
  PERFORM fold_v1(p_only, p_fold_lanes, p_fold_wakes);
  v_now := payhooks_now();
  v_now_us := (extract(epoch FROM v_now) * 1000000)::bigint;
  IF p_only IS NULL THEN
    SELECT array_agg(x.endpoint_id ORDER BY x.look_at), array_agg(x.lease_s ORDER BY x.look_at),
        array_agg(x.room ORDER BY x.look_at) INTO v_lanes, v_lease_s, v_rooms
    FROM (
      SELECT l.endpoint_id, l.look_at, l.lease_s, CASE
          WHEN l.circuit_open THEN least(1, p_per_lane_max)
          WHEN l.interval_us IS NULL THEN p_per_lane_max
          ELSE least(p_per_lane_max, greatest(
            l.burst * l.interval_us - greatest(l.tat_us - v_now_us, 0), 0) / l.interval_us)
        END::int AS room
      FROM lanes l
      WHERE l.state = 0 AND l.look_at <= v_now AND l.endpoint_id <> ALL (p_skip)
      ORDER BY l.look_at LIMIT p_lanes_max FOR UPDATE SKIP LOCKED) x;
  ELSE
    UPDATE lanes l SET listened_at = v_now WHERE l.endpoint_id = p_only AND l.state = 4
    RETURNING ARRAY[l.endpoint_id], ARRAY[l.lease_s], ARRAY[p_per_lane_max]
      INTO v_lanes, v_lease_s, v_rooms;
  END IF;

  IF v_lanes IS NOT NULL THEN
    WITH pick AS MATERIALIZED (
      SELECT q.merchant_id, q.id, l.lease_s
      FROM unnest(v_lanes, v_rooms, v_lease_s) l(lane, room, lease_s)
      CROSS JOIN LATERAL (
        SELECT qq.merchant_id, qq.id FROM queue qq
        WHERE qq.endpoint_id = l.lane AND qq.state = 0 AND qq.due_at <= v_now
        ORDER BY qq.due_at, qq.position LIMIT l.room FOR UPDATE SKIP LOCKED) q
    ), taken AS (
      UPDATE queue q SET state = 1, fence = q.fence + 1, owner = p_owner,
        lease_until = v_now + make_interval(secs => p.lease_s)
      FROM pick p WHERE q.merchant_id = p.merchant_id AND q.id = p.id
      RETURNING q.merchant_id, q.id, q.endpoint_id
    )
    SELECT array_agg(t.merchant_id), array_agg(t.id), array_agg(t.endpoint_id)
      INTO v_merchants, v_ids, v_from FROM taken t;

    UPDATE lanes l SET
      probe_until = CASE WHEN l.circuit_open AND c.count > 0
        THEN v_now + make_interval(secs => l.lease_s) ELSE l.probe_until END,
      tat_us = CASE WHEN l.interval_us IS NULL THEN l.tat_us
        ELSE greatest(l.tat_us, v_now_us) + c.count * l.interval_us END,
      look_at = CASE WHEN c.due_at IS NULL THEN 'infinity' ELSE greatest(
        c.due_at, l.rest_until, v_now,
        CASE WHEN l.circuit_open AND c.count > 0
          THEN v_now + make_interval(secs => l.lease_s) END,
        CASE WHEN l.interval_us IS NOT NULL THEN to_timestamp((greatest(l.tat_us, v_now_us)
          + (c.count - l.burst + 1) * l.interval_us) / 1000000.0) END) END
    FROM (
      SELECT v.lane, (SELECT count(*) FROM unnest(v_from) f(lane) WHERE f.lane = v.lane) AS count,
        (SELECT q.due_at FROM queue q WHERE q.endpoint_id = v.lane AND q.state = 0
          ORDER BY q.due_at, q.position LIMIT 1) AS due_at
      FROM unnest(v_lanes) v(lane)) c
    WHERE l.endpoint_id = c.lane;
  END IF;

  look_again_s := (
    SELECT greatest(extract(epoch FROM l.look_at - v_now), 0) FROM lanes l
    WHERE l.state = 0 AND l.endpoint_id <> ALL (p_skip) AND l.look_at < 'infinity'
    ORDER BY l.look_at LIMIT 1);
  RETURN NEXT;
  IF v_ids IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY
    SELECT q.id, q.endpoint_id, q.merchant_id, q.fence, q.attempts_made, l.lease_s, q.order_key,
      q.dialect, q.dialect_version, q.replay_id, q.replay_bulk,
      (SELECT b.body FROM bodies b WHERE b.merchant_id = q.merchant_id
        AND b.delivery_id = q.id AND b.kind = 0 AND b.fence = 0 AND NOT b.late),
      (SELECT r.version FROM routing r WHERE r.merchant_id = q.merchant_id),
      l.failing_since IS NOT NULL, l.circuit_open AND l.state = 0,
      e.id, e.type, e.family, e.data, e.object_type, e.object_id, e.occurred_at,
      e.ordering_key, e.metadata, NULL::double precision
    FROM unnest(v_merchants, v_ids) WITH ORDINALITY u(merchant, id, n)
    JOIN queue q ON q.merchant_id = u.merchant AND q.id = u.id
    JOIN lanes l ON l.endpoint_id = q.endpoint_id
    -- Looked up one by one, by the whole key. As a plain join, and while statistics still say
    -- that there are no events, the merchant's every event is read for each delivery: two
    -- seconds for a backlog of ten thousand.
    CROSS JOIN LATERAL (SELECT * FROM events ee
      WHERE ee.merchant_id = u.merchant AND ee.id = payhooks_event_of(u.id) OFFSET 0) e
    ORDER BY array_position(v_lanes, q.endpoint_id), q.due_at, q.position;
END
$$;

CREATE FUNCTION expire_v1(p_limit int, p_abandoned_max int)
RETURNS TABLE (delivery_id uuid, merchant_id uuid, endpoint_id uuid, poisoned boolean)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := payhooks_now();
BEGIN
  RETURN QUERY
  WITH over AS MATERIALIZED (
    SELECT q.merchant_id, q.id, q.abandoned + 1 >= p_abandoned_max AS poisoned FROM queue q
    WHERE q.state = 1 AND q.lease_until < v_now
    ORDER BY q.lease_until LIMIT p_limit FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM queue q USING over o
    WHERE o.poisoned AND q.merchant_id = o.merchant_id AND q.id = o.id AND q.owner IS NOT NULL
    RETURNING q.*
  ), kept AS (
    UPDATE queue q SET state = 0, due_at = v_now, owner = NULL, lease_until = NULL,
      abandoned = q.abandoned + 1, reason = 'abandoned'
    FROM over o
    WHERE NOT o.poisoned AND q.merchant_id = o.merchant_id AND q.id = o.id AND q.owner IS NOT NULL
    RETURNING q.merchant_id, q.id, q.endpoint_id, q.fence
  ), final AS (
    INSERT INTO deliveries AS d (merchant_id, id, endpoint_id, order_key, replay_id, position,
      finished_at, delivered_at, fence, attempts_made, dialect_version, state, event_type,
      dialect, reason)
    SELECT g.merchant_id, g.id, g.endpoint_id, g.order_key, g.replay_id,
      CASE WHEN g.order_key IS NOT NULL THEN g.position END, v_now, g.delivered_at, g.fence,
      g.attempts_made, g.dialect_version, 4, g.event_type, g.dialect, 'poison'
    FROM gone g
    ON CONFLICT (merchant_id, id) DO UPDATE SET (replay_id, position, finished_at, fence,
      attempts_made, dialect_version, state, dialect, reason) = (excluded.replay_id,
      excluded.position, excluded.finished_at, excluded.fence, excluded.attempts_made,
      excluded.dialect_version, excluded.state, excluded.dialect, excluded.reason)
  ), noted AS (
    INSERT INTO attempts (merchant_id, delivery_id, fence, late, at, reason, detail)
    SELECT k.merchant_id, k.id, k.fence, false, v_now, 'abandoned', '' FROM kept k
    UNION ALL
    SELECT g.merchant_id, g.id, g.fence, false, v_now, 'abandoned', '' FROM gone g
    ON CONFLICT DO NOTHING
  ), woken AS (
    INSERT INTO wakes (endpoint_id, order_key, due_at)
    SELECT DISTINCT k.endpoint_id, NULL::uuid, v_now FROM kept k
    UNION ALL
    SELECT DISTINCT g.endpoint_id, g.order_key, v_now FROM gone g WHERE g.order_key IS NOT NULL
  )
  SELECT k.id, k.merchant_id, k.endpoint_id, false FROM kept k
  UNION ALL SELECT g.id, g.merchant_id, g.endpoint_id, true FROM gone g;
END
$$;

-- Sorted by endpoint: it may wait for lanes. News: 0 failing, 1 recovered, 2 rested, 3 tripped.
CREATE FUNCTION report_v1(p_lanes uuid[], p_news smallint[], p_rest_s double precision[])
RETURNS void LANGUAGE plpgsql VOLATILE
SET lock_timeout = '1s' SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_now timestamptz := payhooks_now();
  r record;
BEGIN
  FOR r IN
    SELECT u.lane, u.news, v_now + make_interval(secs => u.rest_s) AS rested
    FROM unnest(p_lanes, p_news, p_rest_s) WITH ORDINALITY u(lane, news, rest_s, n)
    ORDER BY u.lane, u.n
  LOOP
    CASE r.news
    WHEN 0 THEN
      UPDATE lanes SET failing_since = v_now WHERE endpoint_id = r.lane AND failing_since IS NULL;
    WHEN 1 THEN
      UPDATE lanes SET failing_since = NULL, warned = 0, circuit_open = false,
        probe_until = '-infinity',
        rest_until = CASE WHEN circuit_open THEN '-infinity' ELSE rest_until END,
        -- A rest that the receiver asked for goes on.
        look_at = CASE WHEN circuit_open THEN least(look_at, v_now) ELSE look_at END
      WHERE endpoint_id = r.lane AND (circuit_open OR failing_since IS NOT NULL);
    WHEN 2 THEN
      UPDATE lanes SET rest_until = greatest(rest_until, r.rested),
        look_at = greatest(look_at, rest_until, r.rested)
      WHERE endpoint_id = r.lane;
    WHEN 3 THEN
      UPDATE lanes SET failing_since = coalesce(failing_since, v_now), circuit_open = true,
        probe_until = '-infinity', rest_until = greatest(rest_until, r.rested),
        look_at = greatest(rest_until, r.rested)
      WHERE endpoint_id = r.lane;
    END CASE;
  END LOOP;
END
$$;

-- Derives lanes anew. Early is harmless; late is a bug, and counted.
CREATE FUNCTION mend_lanes_v1(p_limit int, p_after uuid,
  OUT looked int, OUT drifted int, OUT last uuid)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_now timestamptz;
  v_lanes uuid[];
  v_forgotten int;
BEGIN
  SELECT count(*), max(x.endpoint_id::text)::uuid, array_agg(x.endpoint_id)
    INTO looked, last, v_lanes
  FROM (SELECT l.endpoint_id FROM lanes l
    WHERE p_after IS NULL OR l.endpoint_id > p_after
    ORDER BY l.endpoint_id LIMIT p_limit) x;
  IF looked < p_limit THEN
    last := NULL;
  END IF;
  SELECT array_agg(x.endpoint_id) INTO v_lanes FROM (
    SELECT l.endpoint_id FROM lanes l WHERE l.endpoint_id = ANY (v_lanes) AND l.state = 0
    ORDER BY l.endpoint_id FOR UPDATE SKIP LOCKED) x;
  drifted := 0;
  IF v_lanes IS NULL THEN
    RETURN;
  END IF;
  v_now := payhooks_now();
  WITH derived AS MATERIALIZED (
    SELECT l.endpoint_id, greatest(d.due_at, l.rest_until, v_now,
      CASE WHEN l.circuit_open THEN l.probe_until END,
      CASE WHEN l.interval_us IS NOT NULL THEN
        to_timestamp((l.tat_us - (l.burst - 1) * l.interval_us) / 1000000.0) END) AS look_at
    FROM unnest(v_lanes) v(lane)
    JOIN lanes l ON l.endpoint_id = v.lane
    CROSS JOIN LATERAL (
      SELECT q.due_at FROM queue q WHERE q.endpoint_id = v.lane AND q.state = 0
      ORDER BY q.due_at, q.position LIMIT 1) d
    WHERE NOT EXISTS (SELECT FROM wakes w WHERE w.endpoint_id = v.lane)
  ), mended AS (
    UPDATE lanes l SET look_at = d.look_at FROM derived d
    WHERE l.endpoint_id = d.endpoint_id AND l.look_at > d.look_at
    RETURNING 1
  ) SELECT count(*) INTO drifted FROM mended;
  -- Ordered keys whose head nobody promoted: their distinct keys are found by leaps.
  WITH RECURSIVE keys AS (
    SELECT v.lane, (SELECT q.order_key FROM queue q
      WHERE q.endpoint_id = v.lane AND q.state = 2 ORDER BY q.order_key LIMIT 1) AS key, 1 AS n
    FROM unnest(v_lanes) v(lane)
    UNION ALL
    SELECT k.lane, (SELECT q.order_key FROM queue q
      WHERE q.endpoint_id = k.lane AND q.state = 2 AND q.order_key > k.key
      ORDER BY q.order_key LIMIT 1), k.n + 1
    FROM keys k WHERE k.key IS NOT NULL AND k.n < 1000
  ), forgotten AS (
    INSERT INTO wakes (endpoint_id, order_key, due_at)
    SELECT k.lane, k.key, v_now FROM keys k
    WHERE k.key IS NOT NULL
      AND NOT EXISTS (SELECT FROM queue a WHERE a.endpoint_id = k.lane AND a.order_key = k.key
        AND a.state <> 2 AND a.order_key IS NOT NULL)
      AND NOT EXISTS (SELECT FROM order_blocks b
        WHERE b.endpoint_id = k.lane AND b.order_key = k.key)
      AND NOT EXISTS (SELECT FROM wakes w WHERE w.endpoint_id = k.lane AND w.order_key = k.key)
    RETURNING 1
  ) SELECT count(*) INTO v_forgotten FROM forgotten;
  drifted := drifted + v_forgotten;
END
$$;

-- What one endpoint leaves behind holds nobody else up.

-- Deleted, and nothing of it is undone any more: the sweep looks at it no more.
ALTER TABLE lanes ADD COLUMN swept boolean NOT NULL DEFAULT false;
CREATE INDEX lanes_unswept ON lanes (endpoint_id) WHERE state = 3 AND NOT swept;

-- Cancels what waits for deleted endpoints; returns how much. Where nothing does, those lanes are
-- marked of which nothing is leased either.
CREATE FUNCTION cancel_orphans_v1(p_limit int) RETURNS int LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_lanes uuid[];
  v_merchants uuid[];
  v_ids uuid[];
BEGIN
  -- The newest first: what was deleted long before this version is looked at when there is time.
  SELECT array_agg(x.endpoint_id) INTO v_lanes FROM (
    SELECT l.endpoint_id FROM lanes l WHERE l.state = 3 AND NOT l.swept
    ORDER BY l.endpoint_id DESC LIMIT p_limit) x;
  IF v_lanes IS NULL THEN
    RETURN 0;
  END IF;
  SELECT array_agg(o.merchant_id), array_agg(o.id) INTO v_merchants, v_ids FROM (
    SELECT w.merchant_id, w.id FROM unnest(v_lanes) v(lane) CROSS JOIN LATERAL (
      (SELECT s.merchant_id, s.id FROM queue s
        WHERE s.endpoint_id = v.lane AND s.state = 0 LIMIT p_limit)
      UNION ALL
      (SELECT b.merchant_id, b.id FROM queue b
        WHERE b.endpoint_id = v.lane AND b.state = 2 LIMIT p_limit)) w
    LIMIT p_limit) o;
  IF v_ids IS NOT NULL THEN
    RETURN cardinality(cancel_v1(v_merchants, v_ids));
  END IF;
  -- Nothing can come any more: whoever makes deliveries shares the routing that deleting raises,
  -- so what did not see the end was there before it. What is leased may be taken back; it is
  -- asked for in the same snapshot as the rest, or it could pass by between two.
  SELECT array_agg(x.endpoint_id) INTO v_lanes FROM (
    SELECT l.endpoint_id FROM lanes l WHERE l.endpoint_id = ANY (v_lanes)
    ORDER BY l.endpoint_id FOR UPDATE SKIP LOCKED) x;
  UPDATE lanes l SET swept = true
  WHERE l.endpoint_id = ANY (v_lanes) AND l.state = 3
    AND l.endpoint_id <> ALL (ARRAY(SELECT DISTINCT q.endpoint_id FROM queue q WHERE q.state = 1))
    -- Scalar subqueries, or all that waits would be read for a join.
    AND (SELECT true FROM queue s WHERE s.endpoint_id = l.endpoint_id AND s.state = 0 LIMIT 1)
      IS NULL
    AND (SELECT true FROM queue b WHERE b.endpoint_id = l.endpoint_id AND b.state = 2 LIMIT 1)
      IS NULL;
  RETURN 0;
END
$$;

-- Fold: wakes into lanes, heads of ordered keys out of `blocked`; returns whether it took some and
-- may have left others. fold_v1 took of the lanes of the oldest wakes only, so that thousands of one
-- lane kept all others waiting. Here each lane has its share of p_wakes_max; what others leave of
-- theirs goes to the oldest, so that one lane with much beside many with little is not slower.
CREATE FUNCTION fold_v2(p_only uuid, p_lanes_max int, p_wakes_max int)
RETURNS boolean LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_lanes uuid[];
  v_full boolean := false;
  v_share int;
  v_folded int;
  v_now timestamptz;
BEGIN
  IF p_only IS NULL THEN
    SELECT array_agg(DISTINCT o.endpoint_id), count(*) = p_wakes_max INTO v_lanes, v_full
    FROM (SELECT w.endpoint_id FROM wakes w ORDER BY w.n LIMIT p_wakes_max) o;
    IF v_full THEN
      -- The lanes of those behind them are found by leaps. Where there are more than p_lanes_max,
      -- each has its turn as its wakes become the oldest.
      WITH RECURSIVE leaps AS (
        SELECT (SELECT w.endpoint_id FROM wakes w ORDER BY w.endpoint_id LIMIT 1) AS lane, 1 AS n
        UNION ALL
        SELECT (SELECT w.endpoint_id FROM wakes w WHERE w.endpoint_id > s.lane
          ORDER BY w.endpoint_id LIMIT 1), s.n + 1
        FROM leaps s WHERE s.lane IS NOT NULL AND s.n < p_lanes_max
      )
      SELECT array_agg(x.lane) INTO v_lanes FROM (
        SELECT s.lane FROM leaps s WHERE s.lane IS NOT NULL
        UNION SELECT o.lane FROM unnest(v_lanes) o(lane)) x;
    END IF;
  ELSE
    v_lanes := ARRAY[p_only];
  END IF;
  SELECT array_agg(x.endpoint_id) INTO v_lanes FROM (
    SELECT l.endpoint_id FROM lanes l WHERE l.endpoint_id = ANY (v_lanes)
    ORDER BY l.endpoint_id FOR UPDATE SKIP LOCKED) x;
  IF v_lanes IS NULL THEN
    -- Others hold them all: to look again at once would be in vain for as long as they do.
    RETURN false;
  END IF;
  v_share := greatest(p_wakes_max / cardinality(v_lanes), 1);
  v_now := payhooks_now();
  -- A delivery and its wake commit together: the wakes deleted here were visible, so their
  -- deliveries are visible to this snapshot too; the others stay for the next look.
  WITH seen AS (
    -- By an array, and not by a join: where the statistics say that there are no wakes, one would
    -- read all of them for each.
    DELETE FROM wakes w
    WHERE w.n = ANY (ARRAY(
      SELECT x.n FROM (
        SELECT s.n, 0 AS rank FROM unnest(v_lanes) v(lane) CROSS JOIN LATERAL (
          SELECT ww.n FROM wakes ww WHERE ww.endpoint_id = v.lane
          ORDER BY ww.endpoint_id, ww.n LIMIT v_share) s
        UNION ALL
        SELECT o.n, 1 FROM (
          SELECT ww.n, ww.endpoint_id FROM wakes ww ORDER BY ww.n LIMIT p_wakes_max) o
        WHERE p_only IS NULL AND o.endpoint_id = ANY (v_lanes)) x
      GROUP BY x.n ORDER BY min(x.rank), x.n LIMIT p_wakes_max))
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
  ), lowered AS (
    UPDATE lanes l SET look_at = greatest(least(l.look_at, m.due_at), l.rest_until,
      CASE WHEN l.circuit_open THEN l.probe_until END)
    FROM (
      SELECT x.endpoint_id, min(x.due_at) AS due_at FROM (
        SELECT s.endpoint_id, s.due_at FROM seen s WHERE s.order_key IS NULL
        UNION ALL SELECT p.endpoint_id, v_now FROM promoted p) x
      GROUP BY x.endpoint_id) m
    WHERE l.endpoint_id = m.endpoint_id
  )
  SELECT count(*) INTO v_folded FROM seen;
  RETURN v_full AND v_folded > 0;
END
$$;

-- lease_v4 is lease_v3, but that a look which left wakes asks to be repeated at once.

-- Fold, then claim due lanes and some deliveries from each, then derive when each lane is next
-- due: never before now, so that the oldest backlog does not win every look. The first row has
-- no id; it tells when to look again. Freely goes what was abandoned less often than p_free_below;
-- of what is from p_tried_from on and below p_tried_below, p_tried_max in all.
CREATE FUNCTION lease_v4(
  p_owner int, p_lanes_max int, p_per_lane_max int, p_skip uuid[], p_only uuid,
  p_fold_lanes int, p_fold_wakes int,
  p_free_below int, p_tried_from int, p_tried_below int, p_tried_max int, p_probation_after int
) RETURNS TABLE (
  id uuid, endpoint_id uuid, merchant_id uuid, fence int, attempts_made int,
  lease_s double precision, order_key uuid, dialect text, dialect_version int, replay_id uuid,
  replay_bulk boolean, rendered bytea, routing_version bigint, lane_failing boolean,
  lane_probe boolean, event_id uuid, type text, family text, data bytea, object_type text,
  object_id text, occurred_at timestamptz, ordering_key text, metadata bytea,
  probation boolean, look_again_s double precision
) LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_more boolean;
  v_now timestamptz;
  v_now_us bigint;
  v_lanes uuid[];
  v_rooms int[];
  v_lease_s double precision[];
  v_merchants uuid[];
  v_ids uuid[];
  v_from uuid[];
  v_tried_merchants uuid[] := '{}';
  v_tried_ids uuid[] := '{}';
  v_tried_from uuid[] := '{}';
BEGIN
  v_more := fold_v2(p_only, p_fold_lanes, p_fold_wakes);
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

  -- What is on probation: mostly nothing at all, which one look at an empty index tells.
  IF v_lanes IS NOT NULL AND p_tried_max > 0
    AND EXISTS (SELECT FROM queue q WHERE q.state = 0 AND q.abandoned > 1)
  THEN
    SELECT coalesce(array_agg(x.merchant_id), '{}'), coalesce(array_agg(x.id), '{}'),
        coalesce(array_agg(x.lane), '{}')
      INTO v_tried_merchants, v_tried_ids, v_tried_from
    FROM (
      SELECT l.lane, q.merchant_id, q.id
      FROM unnest(v_lanes, v_rooms) WITH ORDINALITY l(lane, room, n)
      CROSS JOIN LATERAL (
        SELECT qq.merchant_id, qq.id, qq.due_at, qq.position FROM queue qq
        WHERE qq.endpoint_id = l.lane AND qq.state = 0 AND qq.due_at <= v_now
          AND qq.abandoned > 1 AND qq.abandoned >= p_tried_from AND qq.abandoned < p_tried_below
        ORDER BY qq.due_at, qq.position LIMIT least(l.room, p_tried_max)
        FOR UPDATE SKIP LOCKED) q
      ORDER BY l.n, q.due_at, q.position LIMIT p_tried_max) x;
  END IF;

  IF v_lanes IS NOT NULL THEN
    WITH pick AS MATERIALIZED (
      SELECT q.merchant_id, q.id, l.lease_s
      FROM unnest(v_lanes, v_rooms, v_lease_s) l(lane, room, lease_s)
      CROSS JOIN LATERAL (
        SELECT qq.merchant_id, qq.id FROM queue qq
        WHERE qq.endpoint_id = l.lane AND qq.state = 0 AND qq.due_at <= v_now
          AND qq.abandoned < p_free_below
        ORDER BY qq.due_at, qq.position
        LIMIT l.room - (SELECT count(*) FROM unnest(v_tried_from) t(lane) WHERE t.lane = l.lane)
        FOR UPDATE SKIP LOCKED) q
      UNION ALL
      SELECT t.merchant_id, t.id, v_lease_s[array_position(v_lanes, t.lane)]
      FROM unnest(v_tried_merchants, v_tried_ids, v_tried_from) t(merchant_id, id, lane)
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
        ELSE least(greatest(l.tat_us, v_now_us), v_now_us + l.burst * l.interval_us)
          + c.count * l.interval_us END,
      look_at = CASE WHEN c.due_at IS NULL THEN 'infinity' ELSE greatest(
        c.due_at, l.rest_until, v_now,
        CASE WHEN l.circuit_open AND c.count > 0
          THEN v_now + make_interval(secs => l.lease_s) END,
        CASE WHEN l.interval_us IS NOT NULL THEN to_timestamp((
          least(greatest(l.tat_us, v_now_us), v_now_us + l.burst * l.interval_us)
          + (c.count - l.burst + 1) * l.interval_us) / 1000000.0) END) END
    FROM (
      SELECT v.lane, (SELECT count(*) FROM unnest(v_from) f(lane) WHERE f.lane = v.lane) AS count,
        (SELECT q.due_at FROM queue q WHERE q.endpoint_id = v.lane AND q.state = 0
          ORDER BY q.due_at, q.position LIMIT 1) AS due_at
      FROM unnest(v_lanes) v(lane)) c
    WHERE l.endpoint_id = c.lane;
  END IF;

  look_again_s := CASE WHEN v_more THEN 0 ELSE (
    SELECT greatest(extract(epoch FROM l.look_at - v_now), 0) FROM lanes l
    WHERE l.state = 0 AND l.endpoint_id <> ALL (p_skip) AND l.look_at < 'infinity'
    ORDER BY l.look_at LIMIT 1) END;
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
      e.ordering_key, e.metadata, q.abandoned >= p_probation_after, NULL::double precision
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

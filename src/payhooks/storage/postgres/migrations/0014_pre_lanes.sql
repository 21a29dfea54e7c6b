-- Lanes leased for the default time-out (30 s with wait and margin), whatever their endpoint's
-- dialect allows: a request could outlive its lease, and was made again beside itself. Not named:
-- dialects that allow no more. Of one that came with another distribution only the greatest
-- time-out that there may be is known here.
CREATE FUNCTION payhooks_mend_leases() RETURNS void LANGUAGE sql VOLATILE AS $$
  WITH short AS MATERIALIZED (
    SELECT l.endpoint_id, CASE e.document::jsonb ->> 'dialect'
      WHEN 'owngateway' THEN 45.0 WHEN 'hyperswitch' THEN 45.0 ELSE 60.0 END AS lease_s
    FROM lanes l JOIN endpoints e ON e.merchant_id = l.merchant_id AND e.id = l.endpoint_id
    WHERE l.lease_s = 30.0 AND e.document::jsonb ->> 'timeout_s' IS NULL
      AND coalesce(e.document::jsonb ->> 'dialect', 'standard') NOT IN
        ('standard', 'treezor', 'foloosi', 'owlpay', 'stripe', 'cloudevents', 'custom')
    -- As reports lock them, one after the other.
    ORDER BY l.endpoint_id FOR UPDATE OF l
  )
  UPDATE lanes l SET lease_s = s.lease_s FROM short s WHERE l.endpoint_id = s.endpoint_id
$$;
SELECT payhooks_mend_leases();

-- lease_v3 is lease_v2, and mend_lanes_v2 is mend_lanes_v1, but for the rate: no lane owes more than
-- a burst. What is more comes from a clock that was ahead, or from a lower rate.

-- Fold, then claim due lanes and some deliveries from each, then derive when each lane is next
-- due: never before now, so that the oldest backlog does not win every look. The first row has
-- no id; it tells when to look again. Freely goes what was abandoned less often than p_free_below;
-- of what is from p_tried_from on and below p_tried_below, p_tried_max in all.
CREATE FUNCTION lease_v3(
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

-- Derives lanes anew. Early is harmless; late is a bug, and counted.
CREATE FUNCTION mend_lanes_v2(p_limit int, p_after uuid,
  OUT looked int, OUT drifted int, OUT last uuid)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_now timestamptz;
  v_now_us bigint;
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
  v_now_us := (extract(epoch FROM v_now) * 1000000)::bigint;
  WITH derived AS MATERIALIZED (
    SELECT l.endpoint_id, greatest(d.due_at, l.rest_until, v_now,
      CASE WHEN l.circuit_open THEN l.probe_until END,
      CASE WHEN l.interval_us IS NOT NULL THEN
        to_timestamp((least(l.tat_us, v_now_us + l.burst * l.interval_us)
          - (l.burst - 1) * l.interval_us) / 1000000.0) END) AS look_at
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

-- What was found of an event when it was accepted, kept with it: see storage/findings.py.
ALTER TABLE events ADD COLUMN findings bytea;

-- As accept_v1, and keeps the findings. What they come to is NULL for nearly every event.
CREATE FUNCTION accept_v2(
  p_owner int, p_merchants uuid[], p_lanes uuid[],
  p_ids uuid[], p_merchant_of int[], p_versions bigint[], p_types text[], p_families text[],
  p_data bytea[], p_object_types text[], p_object_ids text[], p_occurred timestamptz[],
  p_ordering_keys text[], p_metadata bytea[], p_findings bytea[], p_keys uuid[],
  p_contents uuid[], p_fan_outs int[],
  d_ids uuid[], d_event_of int[], d_lane_of int[], d_order_keys uuid[], d_dialects text[],
  d_dialect_versions int[], d_lease_s double precision[],
  OUT stale int[], OUT repeated int[], OUT first_ids uuid[], OUT first_contents uuid[],
  OUT first_types text[], OUT first_fan_outs int[], OUT leased uuid[]
) LANGUAGE plpgsql VOLATILE
SET lock_timeout = '250ms' SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_now timestamptz;
  v_current bigint[];
  v_won boolean[];
  v_open boolean[];
  v_new uuid[];
  v_first uuid[];
  v_any_stale boolean;
  v_keyed bigint;
  v_all_keyed bigint;
  v_inserted bigint := 0;
  v_resent uuid[];
BEGIN
  -- Shared, so that a change of routing has an exact end: what it did not see cannot come later.
  -- Skip locked, so that a control process that stopped does not stop publishers.
  SELECT array_agg((SELECT r.version FROM routing r WHERE r.merchant_id = m.id
      FOR SHARE SKIP LOCKED) ORDER BY m.n) INTO v_current
  FROM unnest(p_merchants) WITH ORDINALITY m(id, n);
  SELECT array_agg(coalesce(v_current[u.merchant] = u.version, false) ORDER BY u.n),
      bool_or(v_current[u.merchant] IS DISTINCT FROM u.version)
    INTO v_won, v_any_stale
  FROM unnest(p_merchant_of, p_versions) WITH ORDINALITY u(merchant, version, n);
  IF v_any_stale THEN
    -- What was stored before counts, whatever has changed since.
    SELECT array_agg(u.won OR EXISTS (SELECT FROM events e
        WHERE e.merchant_id = p_merchants[u.merchant] AND e.id = u.id) ORDER BY u.n)
      INTO v_won
    FROM unnest(p_merchant_of, p_ids, v_won) WITH ORDINALITY u(merchant, id, won, n);
  END IF;

  SELECT count(*) FILTER (WHERE u.won), count(*) INTO v_keyed, v_all_keyed
  FROM unnest(p_keys, v_won) u(key, won) WHERE u.key IS NOT NULL;
  IF v_keyed > 0 THEN
    -- Sorted: processes that insert the same keys in different orders would deadlock.
    INSERT INTO idempotency (key, event_id, content, deliveries, event_type)
    SELECT u.key, u.id, u.content, u.fan_out, u.type
    FROM unnest(p_keys, p_ids, p_contents, p_fan_outs, p_types, v_won)
      u(key, id, content, fan_out, type, won)
    WHERE u.won AND u.key IS NOT NULL ORDER BY u.key
    ON CONFLICT (key) DO NOTHING;
    GET DIAGNOSTICS v_inserted = ROW_COUNT;
  END IF;
  IF v_inserted < v_all_keyed THEN
    -- A later snapshot than the insert's: the winner may have been invisible to that one.
    SELECT array_agg(CASE WHEN u.key IS NULL THEN u.id ELSE
        (SELECT i.event_id FROM idempotency i WHERE i.key = u.key) END ORDER BY u.n)
      INTO v_first
    FROM unnest(p_keys, p_ids) WITH ORDINALITY u(key, id, n);
    SELECT array_agg(u.n ORDER BY u.n), array_agg(i.event_id ORDER BY u.n),
        array_agg(i.content ORDER BY u.n), array_agg(i.event_type ORDER BY u.n),
        array_agg(i.deliveries ORDER BY u.n)
      INTO repeated, first_ids, first_contents, first_types, first_fan_outs
    FROM unnest(p_keys, p_ids, v_first) WITH ORDINALITY u(key, id, first, n)
    JOIN idempotency i ON i.key = u.key
    WHERE u.first <> u.id;
    -- A key that was there and is gone (its day has just been dropped) is asked for again.
    SELECT array_agg(u.won AND u.first IS NOT DISTINCT FROM u.id ORDER BY u.n) INTO v_won
    FROM unnest(p_ids, v_won, v_first) WITH ORDINALITY u(id, won, first, n);
  END IF;
  SELECT array_agg(u.n ORDER BY u.n) INTO stale
  FROM unnest(v_won) WITH ORDINALITY u(won, n)
  WHERE NOT u.won AND u.n <> ALL (coalesce(repeated, '{}'));

  WITH made AS (
    INSERT INTO events (merchant_id, id, occurred_at, routing_version, fan_out, type, family,
      object_type, object_id, ordering_key, metadata, findings, data)
    SELECT p_merchants[u.merchant], u.id, u.occurred_at, u.version, u.fan_out, u.type, u.family,
      u.object_type, u.object_id, u.ordering_key, u.metadata, u.findings,
      u.data
    FROM unnest(p_merchant_of, p_ids, p_occurred, p_versions, p_fan_outs, p_types, p_families,
        p_object_types, p_object_ids, p_ordering_keys, p_metadata, p_findings, p_data,
        v_won)
      u(merchant, id, occurred_at, version, fan_out, type, family, object_type, object_id,
        ordering_key, metadata, findings, data, won)
    WHERE u.won ON CONFLICT DO NOTHING RETURNING id
  ) SELECT array_agg(id) INTO v_new FROM made;
  IF coalesce(cardinality(v_new), 0) < (SELECT count(*) FROM unnest(v_won) w WHERE w) THEN
    -- Sent before, and the reply was lost: its deliveries exist, or are over already.
    SELECT array_agg(d.id) INTO v_resent FROM unnest(d_ids, d_event_of) d(id, event)
    WHERE v_won[d.event] AND p_ids[d.event] <> ALL (coalesce(v_new, '{}'));
    SELECT array_agg(u.won AND u.id = ANY (coalesce(v_new, '{}')) ORDER BY u.n) INTO v_won
    FROM unnest(p_ids, v_won) WITH ORDINALITY u(id, won, n);
    SELECT array_agg(q.id) INTO leased FROM queue q
    WHERE q.merchant_id = ANY (p_merchants) AND q.id = ANY (v_resent)
      AND q.owner = p_owner AND q.fence = 1;
  END IF;
  IF v_new IS NULL OR d_ids = '{}' THEN
    RETURN;
  END IF;

  v_now := payhooks_now();
  -- Whether a lane takes a hand-off: read without a lock. A lost race costs an attempt more.
  SELECT array_agg(coalesce((
      SELECT l.state = 0 AND l.look_at > v_now AND l.rest_until <= v_now
        AND NOT l.circuit_open AND l.interval_us IS NULL
        AND NOT EXISTS (SELECT FROM wakes w WHERE w.endpoint_id = l.endpoint_id
          AND w.due_at <= v_now)
      FROM lanes l WHERE l.endpoint_id = e.id), false) ORDER BY e.n) INTO v_open
  FROM unnest(p_lanes) WITH ORDINALITY e(id, n);
  WITH made AS (
    INSERT INTO queue (merchant_id, shard, id, endpoint_id, order_key, event_type, dialect,
      dialect_version, due_at, state, fence, owner, lease_until)
    SELECT p_merchants[d.merchant], get_byte(uuid_send(p_merchants[d.merchant]), 15), d.id,
      d.endpoint_id, d.order_key, d.event_type, d.dialect, d.dialect_version, v_now,
      CASE WHEN d.handed THEN 1 WHEN d.order_key IS NULL THEN 0 ELSE 2 END,
      d.handed::int, CASE WHEN d.handed THEN p_owner END,
      CASE WHEN d.handed THEN v_now + make_interval(secs => d.lease_s) END
    FROM (
      SELECT x.id, x.order_key, x.dialect, x.dialect_version, x.lease_s, x.n,
        p_merchant_of[x.event] AS merchant, p_types[x.event] AS event_type,
        p_lanes[x.lane] AS endpoint_id,
        x.lease_s IS NOT NULL AND x.order_key IS NULL AND v_open[x.lane] AS handed
      FROM unnest(d_ids, d_event_of, d_lane_of, d_order_keys, d_dialects, d_dialect_versions,
        d_lease_s) WITH ORDINALITY
        x(id, event, lane, order_key, dialect, dialect_version, lease_s, n)
      WHERE v_won[x.event]
    ) d
    -- The numbers of `position` follow this order: accept order, inside the batch too.
    ORDER BY d.n
    RETURNING id, endpoint_id, state, order_key
  ), woken AS (
    INSERT INTO wakes (endpoint_id, order_key, due_at)
    SELECT DISTINCT m.endpoint_id, m.order_key, v_now FROM made m WHERE m.state <> 1
  )
  SELECT coalesce(leased, '{}') || array_agg(m.id) INTO leased FROM made m WHERE m.state = 1;
END
$$;

-- accept and settle: one call each, so that a client that stops in the middle holds no lock.
-- Arrays are parallel; a row is looked up by a sub-select rather than a join, so that no plan
-- can compare every row of the batch with every other. Changing one means adding a _v2.

-- p_merchants: distinct and sorted, as p_lanes is distinct. *_of: positions in those, from 1.
-- p_event_of: position of the delivery's event. An event is `won` if it is new now, `stale` if
-- its merchant's routing is or is being changed, else it repeats a key.
CREATE FUNCTION accept_v1(
  p_owner int, p_merchants uuid[], p_lanes uuid[],
  p_ids uuid[], p_merchant_of int[], p_versions bigint[], p_types text[], p_families text[],
  p_data bytea[], p_object_types text[], p_object_ids text[], p_occurred timestamptz[],
  p_ordering_keys text[], p_metadata bytea[], p_keys uuid[], p_contents uuid[], p_fan_outs int[],
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
      object_type, object_id, ordering_key, metadata, data)
    SELECT p_merchants[u.merchant], u.id, u.occurred_at, u.version, u.fan_out, u.type, u.family,
      u.object_type, u.object_id, u.ordering_key, u.metadata, u.data
    FROM unnest(p_merchant_of, p_ids, p_occurred, p_versions, p_fan_outs, p_types, p_families,
        p_object_types, p_object_ids, p_ordering_keys, p_metadata, p_data, v_won)
      u(merchant, id, occurred_at, version, fan_out, type, family, object_type, object_id,
        ordering_key, metadata, data, won)
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

-- Sorted by (merchant, id), as all do who may wait for queue rows. Triggers: 0 succeed,
-- 1 retry, 2 give up, 3 release. Answers and rendered bodies come in arrays of their own,
-- pointing to their settlement by position. Returns per settlement whether the fence held.
CREATE FUNCTION settle_v1(
  p_merchants uuid[], p_ids uuid[], p_fences int[], p_triggers smallint[],
  p_delays double precision[], p_reasons text[], p_blocks boolean[],
  p_at timestamptz[], p_statuses int[], p_attempt_reasons text[], p_details text[],
  p_dns_s double precision[], p_connect_s double precision[], p_tls_s double precision[],
  p_wait_s double precision[], p_total_s double precision[], p_peers text[],
  b_of int[], b_headers text[], b_bodies bytea[], b_truncated boolean[],
  r_of int[], r_bodies bytea[]
) RETURNS boolean[] LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_now timestamptz;
  v_done int[];
  v_moved boolean[];
  v_held boolean[];
BEGIN
  -- First lock, in order; then look, in a later snapshot.
  PERFORM (SELECT 1 FROM queue q WHERE q.merchant_id = u.merchant AND q.id = u.id FOR UPDATE)
  FROM unnest(p_merchants, p_ids) u(merchant, id);
  v_now := payhooks_now();

  WITH u AS MATERIALIZED (
    SELECT * FROM unnest(p_merchants, p_ids, p_fences, p_triggers, p_delays, p_reasons, p_blocks)
      WITH ORDINALITY u(merchant, id, fence, trigger, delay_s, reason, block, n)
  ), gone AS (
    DELETE FROM queue q USING u
    WHERE q.merchant_id = u.merchant AND q.id = u.id AND q.fence = u.fence AND q.owner IS NOT NULL
      AND (u.trigger IN (0, 2) OR EXISTS (
        SELECT FROM lanes l WHERE l.endpoint_id = q.endpoint_id AND l.state = 3))
    RETURNING q.*, u.trigger, u.reason AS why, u.block, u.n
  ), kept AS (
    UPDATE queue q SET state = 0, owner = NULL, lease_until = NULL,
      due_at = v_now + make_interval(secs => u.delay_s),
      attempts_made = q.attempts_made + (u.trigger = 1)::int,
      abandoned = CASE WHEN u.trigger = 1 THEN 0 ELSE q.abandoned END,
      reason = CASE WHEN u.trigger = 1 THEN u.reason ELSE q.reason END
    FROM u
    WHERE u.trigger IN (1, 3)
      AND q.merchant_id = u.merchant AND q.id = u.id AND q.fence = u.fence AND q.owner IS NOT NULL
      AND NOT EXISTS (SELECT FROM lanes l WHERE l.endpoint_id = q.endpoint_id AND l.state = 3)
    RETURNING q.endpoint_id, q.due_at, u.n
  ), final AS (
    INSERT INTO deliveries AS d (merchant_id, id, endpoint_id, order_key, replay_id, position,
      finished_at, delivered_at, fence, attempts_made, dialect_version, state, event_type,
      dialect, reason)
    SELECT g.merchant_id, g.id, g.endpoint_id, g.order_key, g.replay_id,
      CASE WHEN g.order_key IS NOT NULL THEN g.position END,
      v_now, coalesce(g.delivered_at, CASE WHEN g.trigger = 0 THEN v_now END),
      g.fence, g.attempts_made + (g.trigger <> 3)::int, g.dialect_version,
      CASE g.trigger WHEN 0 THEN 3 WHEN 2 THEN 4 ELSE 5 END, g.event_type, g.dialect,
      CASE g.trigger WHEN 0 THEN NULL WHEN 3 THEN g.reason ELSE g.why END
    FROM gone g
    ON CONFLICT (merchant_id, id) DO UPDATE SET (endpoint_id, order_key, replay_id, position,
      finished_at, delivered_at, fence, attempts_made, dialect_version, state, event_type,
      dialect, reason) = (excluded.endpoint_id, excluded.order_key, excluded.replay_id,
      excluded.position, excluded.finished_at, coalesce(d.delivered_at, excluded.delivered_at),
      excluded.fence, excluded.attempts_made, excluded.dialect_version, excluded.state,
      excluded.event_type, excluded.dialect, excluded.reason)
  ), blocks AS (
    INSERT INTO order_blocks (endpoint_id, order_key, delivery_id)
    SELECT g.endpoint_id, g.order_key, g.id FROM gone g
    WHERE g.block AND g.trigger = 2 AND g.order_key IS NOT NULL
      AND NOT EXISTS (SELECT FROM lanes l WHERE l.endpoint_id = g.endpoint_id AND l.state = 3)
    ON CONFLICT DO NOTHING
  ), woken AS (
    INSERT INTO wakes (endpoint_id, order_key, due_at)
    SELECT k.endpoint_id, NULL, min(k.due_at) FROM kept k GROUP BY k.endpoint_id
    UNION ALL
    SELECT DISTINCT g.endpoint_id, g.order_key, v_now FROM gone g WHERE g.order_key IS NOT NULL
  )
  SELECT array_agg(x.n) INTO v_done
  FROM (SELECT g.n FROM gone g UNION ALL SELECT k.n FROM kept k) x;

  SELECT array_agg(u.n = ANY (coalesce(v_done, '{}')) ORDER BY u.n) INTO v_moved
  FROM unnest(p_ids) WITH ORDINALITY u(id, n);
  v_held := v_moved;
  IF coalesce(cardinality(v_done), 0) < cardinality(p_ids) THEN
    -- The same settlement again, after a lost reply, finds its own attempt.
    SELECT array_agg(u.moved OR u.trigger <> 3 AND EXISTS (
        SELECT FROM attempts a
        WHERE a.merchant_id = u.merchant AND a.delivery_id = u.id AND a.fence = u.fence
          AND NOT a.late AND a.reason IS DISTINCT FROM 'abandoned'
      ) ORDER BY u.n) INTO v_held
    FROM unnest(p_merchants, p_ids, p_fences, p_triggers, v_moved) WITH ORDINALITY
      u(merchant, id, fence, trigger, moved, n);
  END IF;

  INSERT INTO attempts (merchant_id, delivery_id, fence, late, at, status, reason, detail, peer,
    dns_s, connect_s, tls_s, wait_s, total_s)
  SELECT u.merchant, u.id, u.fence, NOT u.held, u.at, u.status, u.reason, u.detail, u.peer,
    u.dns_s, u.connect_s, u.tls_s, u.wait_s, u.total_s
  FROM unnest(p_merchants, p_ids, p_fences, p_triggers, p_at, p_statuses, p_attempt_reasons,
      p_details, p_dns_s, p_connect_s, p_tls_s, p_wait_s, p_total_s, p_peers, v_held)
    u(merchant, id, fence, trigger, at, status, reason, detail, dns_s, connect_s, tls_s, wait_s,
      total_s, peer, held)
  WHERE u.trigger <> 3
  ON CONFLICT DO NOTHING;

  IF b_of <> '{}' THEN
    INSERT INTO bodies (merchant_id, delivery_id, kind, fence, late, truncated, headers, body)
    SELECT p_merchants[b.n], p_ids[b.n], 1, p_fences[b.n], NOT v_held[b.n], b.truncated,
      b.headers, b.body
    FROM unnest(b_of, b_headers, b_bodies, b_truncated) b(n, headers, body, truncated)
    -- An answer may quote what it was sent: of an expunged event nothing comes back.
    WHERE v_moved[b.n] OR NOT EXISTS (SELECT FROM events e
      WHERE e.merchant_id = p_merchants[b.n] AND e.id = payhooks_event_of(p_ids[b.n])
        AND e.expunged)
    ON CONFLICT DO NOTHING;
  END IF;
  IF r_of <> '{}' THEN
    -- The first body is the one that every later attempt repeats.
    INSERT INTO bodies (merchant_id, delivery_id, kind, fence, body)
    SELECT p_merchants[r.n], p_ids[r.n], 0, 0, r.body FROM unnest(r_of, r_bodies) r(n, body)
    WHERE v_moved[r.n]
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN v_held;
END
$$;

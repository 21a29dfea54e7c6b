-- requeue_v2 is requeue_v1, but that it finds each row by its whole key whatever was counted, takes
-- all in one order, and forgets bodies itself. Where the queue had been counted while it was empty,
-- the planner made a join that read all of it for each row. And two slices over the same deliveries
-- in opposite order each waited for what the other had just put there. It holds the events too: one
-- that was expunged at the same moment went out without its payload.

-- Puts deliveries on their way (again), in this order; returns how many. The body kept of an
-- earlier pin is forgotten where it is in another dialect than what goes out now.
CREATE FUNCTION requeue_v2(
  p_merchants uuid[], p_ids uuid[], p_lanes uuid[], p_types text[], p_order_keys uuid[],
  p_dialects text[], p_dialect_versions int[], p_replay uuid, p_bulk boolean
) RETURNS int LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_now timestamptz;
  v_positions regclass := pg_get_serial_sequence('queue', 'position');
  v_rows tid[];
  v_hastened int;
  v_merchants uuid[];
  v_ids uuid[];
  v_lanes uuid[];
  v_dialects text[];
  v_dialect_versions int[];
  v_fences int[];
  v_one record;
  v_lane uuid;
  v_late uuid[];
  v_last bigint;
BEGIN
  -- Shared, and first, as an event is expunged: who expunges one calls off what is made here, or is
  -- done before it is looked at. Their routing would do too, but publishers could not accept while
  -- it is held; and an event may have 10,000 deliveries to be called off.
  PERFORM (SELECT 1 FROM events e WHERE e.merchant_id = u.merchant AND e.id = u.event FOR SHARE)
  FROM (SELECT DISTINCT x.merchant, payhooks_event_of(x.id) AS event
    FROM unnest(p_merchants, p_ids) x(merchant, id) ORDER BY x.merchant, event) u;
  -- What is made now for the first time may have to be numbered in the feed, which is read
  -- under the lane's lock. Lanes go before queue rows, as in fold and lease.
  -- Scalar subqueries, here and below, and ordered ones behind LATERAL: the planner makes a join
  -- that begins with the table of neither. And where other indexes have columns of the key too,
  -- they are all as good to it while the table looks empty. Of a range of one value, in order, it
  -- takes the one that needs no sort, and that is the key.
  PERFORM (SELECT 1 FROM lanes l WHERE l.endpoint_id = u.lane FOR NO KEY UPDATE)
  FROM (SELECT DISTINCT x.lane FROM unnest(p_merchants, p_ids, p_lanes) x(merchant, id, lane)
    WHERE (SELECT true FROM queue q WHERE q.merchant_id = x.merchant AND q.id = x.id) IS NULL
      AND (SELECT true FROM deliveries d WHERE d.merchant_id = x.merchant
        AND d.id BETWEEN x.id AND x.id ORDER BY d.id LIMIT 1) IS NULL
    ORDER BY x.lane) u;
  -- They are locked, one after the other in the order of their keys: where they stand, they stay.
  SELECT array_agg((SELECT q.ctid FROM queue q
      WHERE q.merchant_id = u.merchant AND q.id = u.id FOR UPDATE))
    INTO v_rows
  FROM (SELECT x.merchant, x.id FROM unnest(p_merchants, p_ids) x(merchant, id)
    ORDER BY x.merchant, x.id) u;
  v_now := payhooks_now();

  WITH hastened AS (
    UPDATE queue q SET due_at = v_now
    -- Not "= 0": an index of those would be as good as their places.
    WHERE q.ctid = ANY (v_rows) AND q.state < 1
      AND (SELECT NOT e.expunged FROM events e
        WHERE e.merchant_id = q.merchant_id AND e.id = payhooks_event_of(q.id))
      AND (SELECT l.state <> 3 FROM lanes l WHERE l.endpoint_id = q.endpoint_id)
    RETURNING q.endpoint_id
  ), woken AS (
    INSERT INTO wakes (endpoint_id, due_at) SELECT DISTINCT h.endpoint_id, v_now FROM hastened h
  ) SELECT count(*) INTO v_hastened FROM hastened;

  WITH u AS MATERIALIZED (
    SELECT u.*, d.position AS old_position, coalesce(d.fence, 0) AS fence, d.delivered_at,
      d.reason, (SELECT true FROM order_blocks b WHERE b.delivery_id BETWEEN u.id AND u.id
        ORDER BY b.delivery_id LIMIT 1) AS blocks
    FROM unnest(p_merchants, p_ids, p_lanes, p_types, p_order_keys, p_dialects,
        p_dialect_versions) WITH ORDINALITY
      u(merchant, id, lane, type, order_key, dialect, dialect_version, n)
    LEFT JOIN LATERAL (SELECT d.position, d.fence, d.delivered_at, d.reason FROM deliveries d
      WHERE d.merchant_id = u.merchant AND d.id BETWEEN u.id AND u.id
      ORDER BY d.id LIMIT 1) d ON true
    WHERE (SELECT NOT e.expunged FROM events e
        WHERE e.merchant_id = u.merchant AND e.id = payhooks_event_of(u.id))
      AND (SELECT l.state <> 3 FROM lanes l WHERE l.endpoint_id = u.lane)
      AND (SELECT true FROM queue q WHERE q.merchant_id = u.merchant AND q.id = u.id) IS NULL
    ORDER BY u.n
  ), placed AS MATERIALIZED (
    -- What holds its object up goes before those it held up; else a replay counts as new.
    SELECT u.*, CASE WHEN u.blocks THEN coalesce(u.old_position, 0)
      ELSE nextval(v_positions) END AS position
    FROM u
  ), made AS (
    INSERT INTO queue (merchant_id, shard, id, endpoint_id, order_key, event_type, dialect,
      dialect_version, due_at, state, fence, delivered_at, reason, replay_id, replay_bulk,
      position)
    SELECT p.merchant, get_byte(uuid_send(p.merchant), 15), p.id, p.lane, p.order_key, p.type,
      p.dialect, p.dialect_version, v_now, CASE WHEN p.order_key IS NULL THEN 0 ELSE 2 END,
      p.fence, p.delivered_at, p.reason, p_replay, p_bulk, p.position
    FROM placed p
    -- In the order of keys: each may have to wait for whoever is just putting the same one there.
    ORDER BY p.merchant, p.id
    ON CONFLICT DO NOTHING
    RETURNING merchant_id, id, endpoint_id, order_key, dialect, dialect_version, fence
  ), freed AS (
    DELETE FROM order_blocks b WHERE b.ctid = ANY (ARRAY(
      SELECT o.place FROM made m CROSS JOIN LATERAL (
        SELECT bb.ctid AS place FROM order_blocks bb
        WHERE bb.delivery_id BETWEEN m.id AND m.id ORDER BY bb.delivery_id) o))
    RETURNING b.endpoint_id, b.order_key
  ), woken AS (
    INSERT INTO wakes (endpoint_id, order_key, due_at)
    SELECT m.endpoint_id, m.order_key, v_now FROM made m
    -- The endpoint may be ordered otherwise now: then those it held up go without it.
    UNION SELECT f.endpoint_id, f.order_key, v_now FROM freed f
  )
  SELECT array_agg(m.merchant_id), array_agg(m.id), array_agg(m.endpoint_id),
      array_agg(m.dialect), array_agg(m.dialect_version), array_agg(m.fence)
    INTO v_merchants, v_ids, v_lanes, v_dialects, v_dialect_versions, v_fences
  FROM made m;

  -- Behind where the feed looks for new ones: see docs/adr/0007.
  FOR v_lane, v_late IN
    SELECT m.lane, array_agg(m.id ORDER BY m.id)
    FROM unnest(v_merchants, v_ids, v_lanes) m(merchant, id, lane)
    -- The next one that has a number is of the same feed, and not this one itself.
    WHERE (SELECT f.endpoint_id = m.lane AND f.delivery_id > m.id FROM feed_entries f
        WHERE (f.endpoint_id, f.delivery_id) >= (m.lane, m.id)
        ORDER BY f.endpoint_id, f.delivery_id LIMIT 1)
      AND (SELECT true FROM deliveries d WHERE d.merchant_id = m.merchant
        AND d.id BETWEEN m.id AND m.id ORDER BY d.id LIMIT 1) IS NULL
    GROUP BY m.lane ORDER BY m.lane
  LOOP
    UPDATE lanes l SET sequence_last = l.sequence_last + cardinality(v_late)
    WHERE l.endpoint_id = v_lane RETURNING l.sequence_last INTO v_last;
    INSERT INTO feed_entries (endpoint_id, sequence, delivery_id)
    SELECT v_lane, v_last - cardinality(v_late) + t.n, t.id
    FROM unnest(v_late) WITH ORDINALITY t(id, n);
  END LOOP;

  FOR v_one IN
    SELECT m.merchant, m.id, d.fence, d.delivered_at, d.reason, d.fence > m.fence AS went_between,
      (d.dialect, d.dialect_version) <> (m.dialect, m.dialect_version) AS spoke_another
    FROM unnest(v_merchants, v_ids, v_dialects, v_dialect_versions, v_fences)
      m(merchant, id, dialect, dialect_version, fence)
    CROSS JOIN LATERAL (SELECT d.* FROM deliveries d
      WHERE d.merchant_id = m.merchant AND d.id BETWEEN m.id AND m.id ORDER BY d.id LIMIT 1) d
    WHERE d.fence > m.fence OR (d.dialect, d.dialect_version) <> (m.dialect, m.dialect_version)
  LOOP
    IF v_one.went_between THEN
      -- Its history was read before the INSERT above waited for another slice, and meanwhile it
      -- was sent again and ended. A fence is given once: given again, what is repeated of the
      -- lease before would end the next one.
      UPDATE queue q SET (fence, delivered_at, reason) =
        (v_one.fence, v_one.delivered_at, v_one.reason)
      WHERE q.merchant_id = v_one.merchant AND q.id = v_one.id;
    END IF;
    IF v_one.spoke_another THEN
      -- After the queue rows, as an event is expunged: whoever began with the bodies could meet
      -- that.
      DELETE FROM bodies b
      WHERE b.merchant_id = v_one.merchant AND b.delivery_id = v_one.id AND b.kind = 0;
    END IF;
  END LOOP;
  RETURN v_hastened + coalesce(cardinality(v_ids), 0);
END
$$;

-- take_back_v3 is take_back_v2, but that it leaves no body in another dialect than the delivery's:
-- that was sent as the delivery's own later.

-- Takes waiting deliveries of a replay back to how they ended before, p_limit at most; returns how
-- many. Where there were fewer, nothing of it waits any more.
-- Row by row, each by its whole key. Of a join the planner made one that read all of the history,
-- or all of the queue, wherever it believed that there were few rows of one and many of the other.
CREATE FUNCTION take_back_v3(p_merchant uuid, p_replay uuid, p_limit int)
RETURNS int LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_now timestamptz;
  v_picked uuid[];
  v_one queue;
  v_order_key uuid;
  v_position bigint;
  v_spoke_another boolean;
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
    RETURNING d.order_key, d.position,
      (d.dialect, d.dialect_version) <> (v_one.dialect, v_one.dialect_version)
      INTO v_order_key, v_position, v_spoke_another;
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
    -- What is kept is what the replay sent. Sent again as it ended, it has to be rendered anew.
    IF v_spoke_another THEN
      DELETE FROM bodies b
      WHERE b.merchant_id = v_one.merchant_id AND b.delivery_id = v_one.id AND b.kind = 0;
    END IF;
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

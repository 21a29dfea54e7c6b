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

-- As claim_expectations_v1, and of none of these merchants: as much of theirs is under way as may be.
CREATE FUNCTION claim_expectations_v2(p_limit int, p_for_s double precision, p_skip uuid[])
RETURNS SETOF expectations
LANGUAGE sql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
  WITH due AS MATERIALIZED (
    SELECT e.merchant_id, e.object_type, e.object_id FROM expectations e
    WHERE e.due_at <= (SELECT payhooks_now()) AND e.merchant_id <> ALL (p_skip)
    ORDER BY e.due_at, e.id LIMIT p_limit FOR UPDATE SKIP LOCKED
  )
  UPDATE expectations e SET due_at = payhooks_now() + make_interval(secs => p_for_s)
  FROM due d
  WHERE e.merchant_id = d.merchant_id AND e.object_type = d.object_type
    AND e.object_id = d.object_id
  RETURNING e.*
$$;

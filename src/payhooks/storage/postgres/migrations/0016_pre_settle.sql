-- settle_v2 is settle_v1, but that a release (3) may bring an attempt (p_at is not null): a process
-- that stops breaks off what its receiver may have got. It spends nothing, and explains a duplicate;
-- not twice, and not where the lease is explained already.
CREATE FUNCTION settle_v2(
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
  v_held boolean[];
BEGIN
  v_held := settle_v1(p_merchants, p_ids, p_fences, p_triggers, p_delays, p_reasons, p_blocks,
    p_at, p_statuses, p_attempt_reasons, p_details, p_dns_s, p_connect_s, p_tls_s, p_wait_s,
    p_total_s, p_peers, b_of, b_headers, b_bodies, b_truncated, r_of, r_bodies);
  IF 3 = ANY (p_triggers) THEN
    INSERT INTO attempts (merchant_id, delivery_id, fence, late, at, reason, detail)
    SELECT u.merchant, u.id, u.fence, NOT u.held, u.at, u.reason, u.detail
    FROM unnest(p_merchants, p_ids, p_fences, p_triggers, p_at, p_attempt_reasons, p_details,
        v_held) u(merchant, id, fence, trigger, at, reason, detail, held)
    WHERE u.trigger = 3 AND u.at IS NOT NULL AND NOT EXISTS (SELECT FROM attempts a
      WHERE a.merchant_id = u.merchant AND a.delivery_id = u.id AND a.fence = u.fence
        AND NOT a.late)
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN v_held;
END
$$;

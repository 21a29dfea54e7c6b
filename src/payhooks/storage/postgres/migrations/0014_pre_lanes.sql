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

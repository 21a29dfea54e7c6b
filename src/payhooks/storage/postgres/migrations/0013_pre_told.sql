-- What was told with receipts that are retired, so that it is not told once more.
CREATE TABLE told (
  merchant_id uuid NOT NULL,
  object_type text COLLATE "C" NOT NULL,
  object_id text COLLATE "C" NOT NULL,
  connector_id uuid NOT NULL,
  receipt_id uuid NOT NULL,
  said text NOT NULL, -- JSON: a word each
  PRIMARY KEY (merchant_id, object_type, object_id, connector_id, receipt_id)
);
CREATE INDEX told_age ON told (receipt_id);

-- The oldest of what came before *p_before* and is not to be processed any more. What was told
-- with it is remembered.
CREATE FUNCTION retire_receipts_v2(p_before uuid, p_limit int) RETURNS int
LANGUAGE plpgsql VOLATILE
SET lock_timeout = '250ms' SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_merchants uuid[]; v_ids uuid[];
BEGIN
  SELECT array_agg(o.merchant_id ORDER BY o.merchant_id, o.id),
    array_agg(o.id ORDER BY o.merchant_id, o.id) INTO v_merchants, v_ids
  FROM (
    SELECT r.merchant_id, r.id FROM receipts r WHERE r.state <> 0 AND r.id < p_before
    ORDER BY r.id LIMIT p_limit
  ) o;
  PERFORM payhooks_leave_quarantine(v_merchants, v_ids);
  WITH gone AS (
    DELETE FROM receipts r USING unnest(v_merchants, v_ids) u(merchant, id)
    WHERE r.merchant_id = u.merchant AND r.id = u.id AND r.state <> 0
    RETURNING r.merchant_id, r.id
  )
  SELECT array_agg(g.merchant_id), array_agg(g.id) INTO v_merchants, v_ids FROM gone g;
  INSERT INTO told (merchant_id, object_type, object_id, connector_id, receipt_id, said)
  SELECT h.merchant_id, h.object_type, h.object_id, h.connector_id, h.receipt_id, h.said
  FROM unnest(v_merchants, v_ids) u(merchant, receipt)
  JOIN heard h ON h.merchant_id = u.merchant AND h.receipt_id = u.receipt
  WHERE h.processed AND h.said IS NOT NULL
  ON CONFLICT DO NOTHING;
  PERFORM payhooks_forget_heard(v_merchants, v_ids);
  RETURN coalesce(cardinality(v_ids), 0);
END
$$;

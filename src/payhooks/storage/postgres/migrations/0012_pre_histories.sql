-- A receipt ends only with what follows from all that ended before it: of two that are read at
-- the same time, in two processes, the second finds that out here and is read again.

-- Returns which of the conclusions, by position, were not drawn from all that was heard of their
-- objects. s_of: the conclusion's position; s_since: the oldest receipt that counts, NULL: all do.
CREATE FUNCTION payhooks_stale_histories(
  c_merchants uuid[], c_connectors uuid[],
  s_of int[], s_types text[], s_object_ids text[], s_since uuid[], s_counts int[]
) RETURNS int[] LANGUAGE plpgsql VOLATILE
SET lock_timeout = '250ms' SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off AS $$
BEGIN
  -- First lock, in order; then look, in a later snapshot. Until this transaction is over nobody
  -- else ends a receipt of these objects. Two that share a number wait for each other, no more.
  PERFORM pg_advisory_xact_lock(1751474532, o.number) FROM (
    SELECT DISTINCT hashtext(concat_ws(E'\x1f', c_merchants[s.of], c_connectors[s.of], s.type,
      s.id)) AS number
    FROM unnest(s_of, s_types, s_object_ids) s(of, type, id) ORDER BY 1
  ) o;
  RETURN (
    SELECT coalesce(array_agg(DISTINCT l.of), '{}')
    FROM (
      -- Of two of one batch the second has not seen the first.
      SELECT s.of, NOT s.whole OR row_number() OVER (
          PARTITION BY c_merchants[s.of], c_connectors[s.of], s.type, s.id, s.whole ORDER BY s.of
        ) > 1 AS stale
      FROM (
        SELECT u.of, u.type, u.id, u.count = (
            SELECT count(*) FROM heard h
            WHERE h.merchant_id = c_merchants[u.of] AND h.object_type = u.type
              AND h.object_id = u.id AND h.connector_id = c_connectors[u.of] AND h.processed
              AND (u.since IS NULL OR h.receipt_id >= u.since)
          ) AS whole
        FROM unnest(s_of, s_types, s_object_ids, s_since, s_counts) u(of, type, id, since, count)
      ) s
    ) l
    WHERE l.stale
  );
END
$$;

-- As conclude_v1, where everything was seen; returns the receipts of the others.
CREATE FUNCTION conclude_v2(
  c_merchants uuid[], c_ids uuid[], c_connectors uuid[], c_states smallint[], c_fates text[],
  l_of int[], l_types text[], l_object_ids text[], l_said text[],
  r_of int[], r_references text[], r_types text[], r_object_ids text[],
  x_of int[], x_types text[], x_object_ids text[], x_ids uuid[], x_connectors uuid[],
  x_due_in_s double precision[], x_overdue boolean[], x_documents text[],
  s_of int[], s_types text[], s_object_ids text[], s_since uuid[], s_counts int[]
) RETURNS uuid[] LANGUAGE plpgsql VOLATILE
SET lock_timeout = '250ms' SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_stale int[] := payhooks_stale_histories(c_merchants, c_connectors, s_of, s_types,
    s_object_ids, s_since, s_counts);
  v_good uuid[];
BEGIN
  SELECT array_agg(CASE WHEN c.n = ANY (v_stale) THEN NULL ELSE c.id END ORDER BY c.n)
    INTO v_good
  FROM unnest(c_ids) WITH ORDINALITY c(id, n);
  PERFORM conclude_v1(c_merchants, v_good, c_connectors, c_states, c_fates, l_of, l_types,
    l_object_ids, l_said, r_of, r_references, r_types, r_object_ids, x_of, x_types,
    x_object_ids, x_ids, x_connectors, x_due_in_s, x_overdue, x_documents);
  RETURN (SELECT coalesce(array_agg(c_ids[n]), '{}') FROM unnest(v_stale) n);
END
$$;

-- As accept_v2, and where an arrival comes out accepted its receipt is concluded with that. One
-- whose history is stale is accepted only if it is there already: of the others *unseen* are those.
-- c_arrivals: the arrival's position; the rest as for conclude_v2.
CREATE FUNCTION accept_heard_v2(
  p_owner int, p_merchants uuid[], p_lanes uuid[], p_ids uuid[], p_merchant_of int[],
  p_versions bigint[], p_types text[], p_families text[], p_data bytea[], p_object_types text[],
  p_object_ids text[], p_occurred timestamptz[], p_ordering_keys text[], p_metadata bytea[],
  p_findings bytea[], p_keys uuid[], p_contents uuid[], p_fan_outs int[],
  d_ids uuid[], d_event_of int[], d_lane_of int[], d_order_keys uuid[], d_dialects text[],
  d_dialect_versions int[], d_lease_s double precision[], c_arrivals int[],
  c_merchants uuid[], c_ids uuid[], c_connectors uuid[], c_states smallint[], c_fates text[],
  l_of int[], l_types text[], l_object_ids text[], l_said text[],
  r_of int[], r_references text[], r_types text[], r_object_ids text[],
  x_of int[], x_types text[], x_object_ids text[], x_ids uuid[], x_connectors uuid[],
  x_due_in_s double precision[], x_overdue boolean[], x_documents text[],
  s_of int[], s_types text[], s_object_ids text[], s_since uuid[], s_counts int[],
  OUT stale int[], OUT repeated int[], OUT first_ids uuid[], OUT first_contents uuid[],
  OUT first_types text[], OUT first_fan_outs int[], OUT leased uuid[], OUT unseen int[]
) LANGUAGE plpgsql VOLATILE
SET lock_timeout = '250ms' SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_told uuid[];
  v_versions bigint[];
BEGIN
  SELECT array_agg(c_arrivals[n]) INTO unseen
  FROM unnest(payhooks_stale_histories(c_merchants, c_connectors, s_of, s_types, s_object_ids,
    s_since, s_counts)) n;
  -- No routing has this version, so that it is stale unless it was stored before.
  SELECT array_agg(CASE WHEN u.n = ANY (unseen) THEN -1 ELSE u.version END ORDER BY u.n)
    INTO v_versions
  FROM unnest(p_versions) WITH ORDINALITY u(version, n);
  SELECT a.* INTO stale, repeated, first_ids, first_contents, first_types, first_fan_outs, leased
  FROM accept_v2(p_owner, p_merchants, p_lanes, p_ids, p_merchant_of, v_versions, p_types,
    p_families, p_data, p_object_types, p_object_ids, p_occurred, p_ordering_keys, p_metadata,
    p_findings, p_keys, p_contents, p_fan_outs, d_ids, d_event_of, d_lane_of, d_order_keys,
    d_dialects, d_dialect_versions, d_lease_s) a;
  -- Where it is not accepted there is no receipt to conclude.
  SELECT array_agg(CASE WHEN c.arrival = ANY (stale) OR c.arrival = ANY (repeated)
      THEN NULL ELSE c.id END ORDER BY c.n) INTO v_told
  FROM unnest(c_arrivals, c_ids) WITH ORDINALITY c(arrival, id, n);
  PERFORM conclude_v1(c_merchants, v_told, c_connectors, c_states, c_fates, l_of, l_types,
    l_object_ids, l_said, r_of, r_references, r_types, r_object_ids, x_of, x_types,
    x_object_ids, x_ids, x_connectors, x_due_in_s, x_overdue, x_documents);
END
$$;

-- Takes what moved, whosever it is: conclude_v1 has it due at the epoch.
CREATE FUNCTION claim_moved_v1(p_limit int, p_for_s double precision)
RETURNS SETOF expectations
LANGUAGE sql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
  WITH moved AS MATERIALIZED (
    SELECT e.merchant_id, e.object_type, e.object_id FROM expectations e
    WHERE e.due_at = 'epoch' LIMIT p_limit FOR UPDATE SKIP LOCKED
  )
  UPDATE expectations e SET due_at = payhooks_now() + make_interval(secs => p_for_s)
  FROM moved m
  WHERE e.merchant_id = m.merchant_id AND e.object_type = m.object_type
    AND e.object_id = m.object_id
  RETURNING e.*
$$;

-- As before, but that what was expected of an object that moved is due before all else, where it is
-- overdue or somebody may be judging it by what was known before. Old code is as good with it: it
-- says of none that it moved.
-- c_*: sorted by (merchant, id). *_of: the conclusion's position there, from 1. Links are
-- distinct within a conclusion. x_*: what is expected; without an id, that the object moved, and
-- for how long at most who judges it has claimed it.
CREATE OR REPLACE FUNCTION conclude_v1(
  c_merchants uuid[], c_ids uuid[], c_connectors uuid[], c_states smallint[], c_fates text[],
  l_of int[], l_types text[], l_object_ids text[], l_said text[],
  r_of int[], r_references text[], r_types text[], r_object_ids text[],
  x_of int[], x_types text[], x_object_ids text[], x_ids uuid[], x_connectors uuid[],
  x_due_in_s double precision[], x_overdue boolean[], x_documents text[]
) RETURNS void LANGUAGE plpgsql VOLATILE
SET lock_timeout = '250ms' SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_done int[];
  v_moved int[];
  v_rows int[];
BEGIN
  -- First lock, in order; then look, in a later snapshot.
  PERFORM (SELECT 1 FROM receipts r WHERE r.merchant_id = u.merchant AND r.id = u.id FOR UPDATE)
  FROM unnest(c_merchants, c_ids) u(merchant, id);

  WITH ended AS (
    UPDATE receipts r SET state = u.state, fate = u.fate, owner = NULL, claimed_until = '-infinity'
    FROM unnest(c_merchants, c_ids, c_states, c_fates) WITH ORDINALITY
      u(merchant, id, state, fate, n)
    WHERE r.merchant_id = u.merchant AND r.id = u.id AND r.state = 0
    RETURNING u.n
  )
  SELECT array_agg(e.n) INTO v_done FROM ended e;

  INSERT INTO heard (merchant_id, receipt_id, connector_id, processed, object_type, object_id, said)
  SELECT c_merchants[l.of], c_ids[l.of], c_connectors[l.of], c_states[l.of] = 1, l.type, l.id,
    l.said
  FROM unnest(l_of, l_types, l_object_ids, l_said) l(of, type, id, said)
  WHERE l.of = ANY (v_done);

  -- What is there is locked all the same: who retires its object's last link sees this one.
  INSERT INTO object_references AS f (merchant_id, reference, object_type, object_id)
  SELECT DISTINCT c_merchants[r.of], r.reference, r.type, r.id
  FROM unnest(r_of, r_references, r_types, r_object_ids) r(of, reference, type, id)
  WHERE r.of = ANY (v_done) ORDER BY 1, 2, 3, 4
  ON CONFLICT (merchant_id, reference, object_type, object_id)
    DO UPDATE SET reference = excluded.reference WHERE false;

  -- Of what moved mostly nothing is expected, or nobody judges it for long.
  SELECT array_agg(x.n) INTO v_moved
  FROM unnest(x_of, x_types, x_object_ids, x_ids, x_due_in_s) WITH ORDINALITY
    x(of, type, object, id, claimed_s, n)
  JOIN expectations e
    ON e.merchant_id = c_merchants[x.of] AND e.object_type = x.type AND e.object_id = x.object
  WHERE x.of = ANY (v_done) AND x.id IS NULL
    AND (e.overdue OR e.due_at <= payhooks_now() + make_interval(secs => x.claimed_s));

  -- All that is expected is written at once, in order, as another process does so in the same
  -- order. Where something moved it is one object after the other, or two statements would lock in
  -- an order of their own.
  FOR v_rows IN
    SELECT array_agg(p.n) FROM (
      SELECT x.n, CASE WHEN v_moved IS NOT NULL THEN
          dense_rank() OVER (ORDER BY c_merchants[x.of], x.type, x.object)
        END AS place
      FROM unnest(x_of, x_types, x_object_ids, x_ids) WITH ORDINALITY x(of, type, object, id, n)
      WHERE x.of = ANY (v_done) AND (x.id IS NOT NULL OR x.n = ANY (v_moved))
    ) p GROUP BY p.place ORDER BY p.place
  LOOP
    IF v_moved IS NOT NULL THEN
      UPDATE expectations e
      SET heard_again = e.heard_again + 1, due_at = 'epoch'
      FROM (
        SELECT DISTINCT c_merchants[x_of[n]] AS merchant, x_types[n] AS type,
          x_object_ids[n] AS object
        FROM unnest(v_rows) n WHERE n = ANY (v_moved)
      ) m
      WHERE e.merchant_id = m.merchant AND e.object_type = m.type AND e.object_id = m.object;
    END IF;

    -- One that is there was heard again, or makes room where its connector is gone: in the same
    -- statement, as above. None may be updated twice by it.
    INSERT INTO expectations AS e (merchant_id, object_type, object_id, id, connector_id, due_at,
      overdue, document)
    SELECT DISTINCT ON (1, 2, 3) c_merchants[x.of], x.type, x.object, x.id, x.connector,
      payhooks_now() + make_interval(secs => x.due_in_s), x.overdue, x.document
    FROM unnest(x_of, x_types, x_object_ids, x_ids, x_connectors, x_due_in_s, x_overdue,
        x_documents) WITH ORDINALITY
      x(of, type, object, id, connector, due_in_s, overdue, document, n)
    WHERE x.n = ANY (v_rows) AND x.id IS NOT NULL ORDER BY 1, 2, 3, 4
    ON CONFLICT (merchant_id, object_type, object_id)
      DO UPDATE SET (id, connector_id, due_at, overdue, document, heard_again) = (
        SELECT CASE WHEN g.gone THEN excluded.id ELSE e.id END,
          CASE WHEN g.gone THEN excluded.connector_id ELSE e.connector_id END,
          CASE WHEN g.gone THEN excluded.due_at ELSE e.due_at END,
          CASE WHEN g.gone THEN excluded.overdue ELSE e.overdue END,
          CASE WHEN g.gone THEN excluded.document ELSE e.document END,
          CASE WHEN g.gone THEN 0 ELSE e.heard_again + 1 END
        FROM (
          SELECT EXISTS (SELECT FROM connectors c WHERE c.merchant_id = e.merchant_id
            AND c.id = e.connector_id AND c.status = 'deleted') AS gone
        ) g
      );
  END LOOP;
END
$$;

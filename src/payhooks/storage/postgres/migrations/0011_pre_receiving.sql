-- The inbound half: what providers send, what became of it, and what is waited for.
CREATE TABLE connectors (
  merchant_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  dialect text NOT NULL,
  status text NOT NULL,
  version int NOT NULL,
  document text NOT NULL,
  PRIMARY KEY (merchant_id, id)
);
-- A deleted one's name is free again.
CREATE UNIQUE INDEX connectors_name ON connectors (merchant_id, name) WHERE status <> 'deleted';

-- One row for each connector that anything ever came by, locked by whoever adds to or takes from
-- its quarantine, before any receipt: so the counts are true, and nobody deadlocks.
CREATE TABLE connector_health (
  merchant_id uuid NOT NULL,
  connector_id uuid NOT NULL,
  received bigint NOT NULL,
  unverified bigint NOT NULL,
  last_received_at timestamptz,
  last_unverified_at timestamptz,
  quarantined bigint NOT NULL,
  quarantined_bytes bigint NOT NULL,
  dropped bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (merchant_id, connector_id),
  CHECK (quarantined >= 0 AND quarantined_bytes >= 0)
) WITH (fillfactor = 50);

CREATE TABLE receipts (
  merchant_id uuid NOT NULL,
  id uuid NOT NULL,
  connector_id uuid NOT NULL,
  claimed_until timestamptz NOT NULL DEFAULT '-infinity',
  owner int,
  state smallint NOT NULL, -- 0 received, 1 processed, 2 to 7 otherwise read, 8 quarantined
  fate text, -- JSON: what goes with the state
  document text NOT NULL, -- JSON: see storage/receipts.py
  body bytea NOT NULL,
  PRIMARY KEY (merchant_id, id),
  CHECK (state BETWEEN 0 AND 8),
  CHECK (state = 0 OR owner IS NULL)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX receipts_received ON receipts (id) WHERE state = 0;
CREATE INDEX receipts_ended ON receipts (id) WHERE state <> 0;
-- Lists by connector, by state or by both, and the oldest of a quarantine.
CREATE INDEX receipts_listed ON receipts (merchant_id, connector_id, state, id);

-- What a receipt is about.
CREATE TABLE heard (
  merchant_id uuid NOT NULL,
  receipt_id uuid NOT NULL,
  connector_id uuid NOT NULL,
  processed boolean NOT NULL, -- of its receipt, which then stays so
  object_type text COLLATE "C" NOT NULL,
  object_id text COLLATE "C" NOT NULL,
  said text, -- JSON: a word each
  PRIMARY KEY (merchant_id, receipt_id, object_type, object_id)
);
CREATE INDEX heard_object
  ON heard (merchant_id, object_type, object_id, connector_id, processed, receipt_id);

CREATE TABLE object_references (
  merchant_id uuid NOT NULL,
  reference text COLLATE "C" NOT NULL,
  object_type text COLLATE "C" NOT NULL,
  object_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (merchant_id, reference, object_type, object_id)
);
CREATE INDEX object_references_object
  ON object_references (merchant_id, object_type, object_id, reference);

CREATE TABLE expectations (
  merchant_id uuid NOT NULL,
  object_type text COLLATE "C" NOT NULL,
  object_id text COLLATE "C" NOT NULL,
  id uuid NOT NULL,
  connector_id uuid NOT NULL,
  due_at timestamptz NOT NULL,
  overdue boolean NOT NULL,
  document text NOT NULL,
  PRIMARY KEY (merchant_id, object_type, object_id)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX expectations_due ON expectations (due_at);
CREATE INDEX expectations_overdue ON expectations (merchant_id, connector_id, id) WHERE overdue;

-- As for payloads: half of the default's CPU, where the server has it.
DO $$
BEGIN
  ALTER TABLE receipts ALTER document SET COMPRESSION lz4, ALTER body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
  RAISE NOTICE 'this server has no lz4; receipts use pglz';
END
$$;

-- Keeps a batch, sorted by (merchant, id), and counts what of it is new.
CREATE FUNCTION receive_v1(
  p_owner int, p_for_s double precision, p_quarantine_max bigint, p_quarantine_bytes_max bigint,
  p_merchants uuid[], p_ids uuid[], p_connectors uuid[], p_unverified boolean[],
  p_states smallint[], p_fates text[], p_documents text[], p_bodies bytea[]
) RETURNS void LANGUAGE plpgsql VOLATILE
SET lock_timeout = '250ms' SET enable_seqscan = off SET enable_bitmapscan = off
SET jit = off AS $$
DECLARE
  v_until timestamptz := payhooks_now() + make_interval(secs => p_for_s);
  v_over uuid[];
  v_full record; v_old record;
  v_gone uuid[]; v_gone_bytes bigint;
BEGIN
  WITH made AS (
    INSERT INTO receipts (merchant_id, id, connector_id, claimed_until, owner, state, fate,
      document, body)
    SELECT u.merchant, u.id, u.connector, CASE WHEN u.state = 0 THEN v_until ELSE '-infinity' END,
      CASE WHEN u.state = 0 THEN p_owner END, u.state, u.fate, u.document, u.body
    FROM unnest(p_merchants, p_ids, p_connectors, p_states, p_fates, p_documents, p_bodies)
      u(merchant, id, connector, state, fate, document, body)
    ON CONFLICT (merchant_id, id) DO NOTHING
    RETURNING merchant_id, id, connector_id, payhooks_made_at(id) AS at, state,
      octet_length(body) AS bytes
  ), counted AS (
    INSERT INTO connector_health AS h (merchant_id, connector_id, received, unverified,
      last_received_at, last_unverified_at, quarantined, quarantined_bytes)
    SELECT m.merchant_id, m.connector_id,
      count(*) FILTER (WHERE NOT u.unverified), count(*) FILTER (WHERE u.unverified),
      max(m.at) FILTER (WHERE NOT u.unverified), max(m.at) FILTER (WHERE u.unverified),
      count(*) FILTER (WHERE m.state = 8), coalesce(sum(m.bytes) FILTER (WHERE m.state = 8), 0)
    FROM made m JOIN unnest(p_ids, p_unverified) u(id, unverified) ON u.id = m.id
    GROUP BY m.merchant_id, m.connector_id
    -- Sorted: two processes hear the same connectors all the time.
    ORDER BY m.merchant_id, m.connector_id
    ON CONFLICT (merchant_id, connector_id) DO UPDATE SET
      (received, unverified, last_received_at, last_unverified_at, quarantined, quarantined_bytes)
      = (h.received + excluded.received, h.unverified + excluded.unverified,
        greatest(h.last_received_at, excluded.last_received_at),
        greatest(h.last_unverified_at, excluded.last_unverified_at),
        h.quarantined + excluded.quarantined, h.quarantined_bytes + excluded.quarantined_bytes)
    RETURNING h.connector_id, h.quarantined, h.quarantined_bytes
  )
  SELECT array_agg(c.connector_id) INTO v_over FROM counted c
  WHERE c.quarantined > p_quarantine_max OR c.quarantined_bytes > p_quarantine_bytes_max;
  FOR v_full IN
    SELECT h.merchant_id, h.connector_id, h.quarantined AS count, h.quarantined_bytes AS bytes
    FROM connector_health h
    WHERE h.merchant_id = ANY (p_merchants) AND h.connector_id = ANY (v_over)
  LOOP
    v_gone := '{}'; v_gone_bytes := 0;
    -- Row by row, so that as many are read as go.
    FOR v_old IN SELECT r.id, octet_length(r.body) AS bytes FROM receipts r
      WHERE r.merchant_id = v_full.merchant_id AND r.connector_id = v_full.connector_id
        AND r.state = 8 ORDER BY r.id
    LOOP
      EXIT WHEN v_full.count - cardinality(v_gone) <= p_quarantine_max
        AND v_full.bytes - v_gone_bytes <= p_quarantine_bytes_max;
      v_gone := v_gone || v_old.id;
      v_gone_bytes := v_gone_bytes + v_old.bytes;
    END LOOP;
    DELETE FROM receipts r WHERE r.merchant_id = v_full.merchant_id AND r.id = ANY (v_gone);
    UPDATE connector_health h SET quarantined = h.quarantined - cardinality(v_gone),
      quarantined_bytes = h.quarantined_bytes - v_gone_bytes,
      dropped = h.dropped + cardinality(v_gone)
    WHERE h.merchant_id = v_full.merchant_id AND h.connector_id = v_full.connector_id;
  END LOOP;
END
$$;

-- The oldest that nobody holds, for so many seconds. Only nested loops: how many are wanted is not
-- known when the plan is made.
CREATE FUNCTION claim_receipts_v1(p_owner int, p_limit int, p_for_s double precision)
RETURNS TABLE (id uuid, state smallint, fate text, document text, body bytea)
LANGUAGE sql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
  WITH free AS MATERIALIZED (
    SELECT r.merchant_id, r.id FROM receipts r
    WHERE r.state = 0 AND r.claimed_until <= (SELECT payhooks_now())
    ORDER BY r.id LIMIT p_limit FOR UPDATE SKIP LOCKED
  ), claimed AS (
    UPDATE receipts r SET owner = p_owner,
      claimed_until = payhooks_now() + make_interval(secs => p_for_s)
    FROM free f WHERE r.merchant_id = f.merchant_id AND r.id = f.id
    RETURNING r.id, r.state, r.fate, r.document, r.body
  )
  SELECT c.id, c.state, c.fate, c.document, c.body FROM claimed c ORDER BY c.id
$$;

-- What has been due for longest, with when that was; due again after so many seconds.
CREATE FUNCTION claim_expectations_v1(p_limit int, p_for_s double precision)
RETURNS TABLE (document text, due_at timestamptz, overdue boolean)
LANGUAGE sql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
  WITH due AS MATERIALIZED (
    SELECT e.merchant_id, e.object_type, e.object_id, e.due_at FROM expectations e
    WHERE e.due_at <= (SELECT payhooks_now())
    ORDER BY e.due_at, e.id LIMIT p_limit FOR UPDATE SKIP LOCKED
  ), claimed AS (
    UPDATE expectations e SET due_at = payhooks_now() + make_interval(secs => p_for_s)
    FROM due d
    WHERE e.merchant_id = d.merchant_id AND e.object_type = d.object_type
      AND e.object_id = d.object_id
    RETURNING e.id, e.document, d.due_at, e.overdue
  )
  SELECT c.document, c.due_at, c.overdue FROM claimed c ORDER BY c.due_at, c.id
$$;

-- c_*: sorted by (merchant, id). *_of: the conclusion's position there, from 1. Links are
-- distinct within a conclusion.
CREATE FUNCTION conclude_v1(
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

  INSERT INTO expectations (merchant_id, object_type, object_id, id, connector_id, due_at, overdue,
    document)
  SELECT c_merchants[x.of], x.type, x.object, x.id, x.connector,
    payhooks_now() + make_interval(secs => x.due_in_s), x.overdue, x.document
  FROM unnest(x_of, x_types, x_object_ids, x_ids, x_connectors, x_due_in_s, x_overdue,
      x_documents) x(of, type, object, id, connector, due_in_s, overdue, document)
  WHERE x.of = ANY (v_done) ORDER BY 1, 2, 3, 4
  ON CONFLICT (merchant_id, object_type, object_id) DO NOTHING;
END
$$;

-- As accept_v2, and where an arrival comes out accepted its receipt is concluded with that.
-- c_arrivals: the arrival's position; the rest as for conclude_v1.
CREATE FUNCTION accept_heard_v1(
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
  OUT stale int[], OUT repeated int[], OUT first_ids uuid[], OUT first_contents uuid[],
  OUT first_types text[], OUT first_fan_outs int[], OUT leased uuid[]
) LANGUAGE plpgsql VOLATILE
SET lock_timeout = '250ms' SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_told uuid[];
BEGIN
  SELECT a.* INTO stale, repeated, first_ids, first_contents, first_types, first_fan_outs, leased
  FROM accept_v2(p_owner, p_merchants, p_lanes, p_ids, p_merchant_of, p_versions, p_types,
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

-- Removes the links of receipts whose rows the caller has locked, and the names of objects that
-- have none left.
CREATE FUNCTION payhooks_forget_heard(p_merchants uuid[], p_receipts uuid[])
RETURNS void LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_merchants uuid[]; v_types text[]; v_ids text[];
BEGIN
  WITH gone AS (
    DELETE FROM heard h USING unnest(p_merchants, p_receipts) u(merchant, receipt)
    WHERE h.merchant_id = u.merchant AND h.receipt_id = u.receipt
    RETURNING h.merchant_id, h.object_type, h.object_id
  )
  SELECT array_agg(o.merchant_id), array_agg(o.object_type), array_agg(o.object_id)
  INTO v_merchants, v_types, v_ids
  FROM (SELECT DISTINCT g.* FROM gone g) o;
  -- First lock, in the order of who writes them; then look, in a later snapshot.
  PERFORM (SELECT 1 FROM object_references f
    WHERE f.merchant_id = n.merchant_id AND f.reference = n.reference
      AND f.object_type = n.object_type AND f.object_id = n.object_id FOR UPDATE)
  FROM (
    SELECT f.merchant_id, f.reference, f.object_type, f.object_id
    FROM unnest(v_merchants, v_types, v_ids) o(merchant, type, id)
    JOIN object_references f
      ON f.merchant_id = o.merchant AND f.object_type = o.type AND f.object_id = o.id
    ORDER BY 1, 2, 3, 4
  ) n;
  DELETE FROM object_references f USING unnest(v_merchants, v_types, v_ids) o(merchant, type, id)
  WHERE f.merchant_id = o.merchant AND f.object_type = o.type AND f.object_id = o.id
    AND NOT EXISTS (SELECT FROM heard h WHERE h.merchant_id = o.merchant
      AND h.object_type = o.type AND h.object_id = o.id);
END
$$;

-- Takes out of the quarantine's counts what of these is in it. Its connectors' rows are locked
-- first, and receipts only then, as whoever receives does.
CREATE FUNCTION payhooks_leave_quarantine(p_merchants uuid[], p_receipts uuid[])
RETURNS void LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
  PERFORM (SELECT 1 FROM connector_health h
    WHERE h.merchant_id = c.merchant_id AND h.connector_id = c.connector_id FOR UPDATE)
  FROM (
    SELECT DISTINCT r.merchant_id, r.connector_id
    FROM unnest(p_merchants, p_receipts) u(merchant, id)
    JOIN receipts r ON r.merchant_id = u.merchant AND r.id = u.id
    WHERE r.state = 8 ORDER BY 1, 2
  ) c;
  UPDATE connector_health h SET quarantined = h.quarantined - q.count,
    quarantined_bytes = h.quarantined_bytes - q.bytes
  FROM (
    SELECT r.merchant_id, r.connector_id, count(*) AS count, sum(octet_length(r.body)) AS bytes
    FROM unnest(p_merchants, p_receipts) u(merchant, id)
    JOIN receipts r ON r.merchant_id = u.merchant AND r.id = u.id
    WHERE r.state = 8 GROUP BY 1, 2
  ) q
  WHERE h.merchant_id = q.merchant_id AND h.connector_id = q.connector_id;
END
$$;

-- Sorted by (merchant, id), each once. Returns how many were put back.
CREATE FUNCTION reprocess_v1(
  p_merchants uuid[], p_ids uuid[], p_documents text[], p_states smallint[]
) RETURNS int LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_merchants uuid[]; v_ids uuid[];
BEGIN
  PERFORM payhooks_leave_quarantine(p_merchants, p_ids);
  PERFORM (SELECT 1 FROM receipts r WHERE r.merchant_id = u.merchant AND r.id = u.id FOR UPDATE)
  FROM unnest(p_merchants, p_ids) u(merchant, id);
  WITH put AS (
    UPDATE receipts r SET state = 0, fate = NULL, document = u.document
    FROM unnest(p_merchants, p_ids, p_documents) u(merchant, id, document)
    WHERE r.merchant_id = u.merchant AND r.id = u.id AND r.state = ANY (p_states)
    RETURNING r.merchant_id, r.id
  )
  SELECT array_agg(p.merchant_id), array_agg(p.id) INTO v_merchants, v_ids FROM put p;
  PERFORM payhooks_forget_heard(v_merchants, v_ids);
  RETURN coalesce(cardinality(v_ids), 0);
END
$$;

-- The oldest of what came before *p_before* and is not to be processed any more.
CREATE FUNCTION retire_receipts_v1(p_before uuid, p_limit int) RETURNS int
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
  PERFORM payhooks_forget_heard(v_merchants, v_ids);
  RETURN coalesce(cardinality(v_ids), 0);
END
$$;

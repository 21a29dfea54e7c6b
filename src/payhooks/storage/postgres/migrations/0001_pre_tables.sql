-- The tables. What is undone lives in the narrow, hot `queue`; what is over is append-only and
-- partitioned by the day in the event's id, so that retention drops whole days. No foreign keys
-- on hot tables: each takes a lock on the row it points to. Ids are 128 bits, sorted by time.

CREATE FUNCTION payhooks_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  -- clock_timestamp, not now(): a transaction may have waited since it began. The offset is
  -- set by tests only, which cannot wait for days to pass.
  SELECT clock_timestamp()
    + coalesce(nullif(current_setting('payhooks.clock_offset', true), ''), '0')::interval
$$;

CREATE FUNCTION payhooks_event_of(delivery uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  -- The last 20 bits, five hexadecimal digits, are the endpoint's number.
  SELECT (left(delivery::text, 31) || '00000')::uuid
$$;

CREATE FUNCTION payhooks_last_of(event uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT (left(event::text, 31) || 'fffff')::uuid
$$;

CREATE FUNCTION payhooks_made_at(id uuid) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
$$;

-- Configuration: the columns that are asked for, and the whole as one JSON document.

CREATE TABLE merchants (
  id uuid PRIMARY KEY,
  shard smallint NOT NULL,
  version int NOT NULL,
  numbers int NOT NULL DEFAULT 0, -- endpoint numbers given so far
  reference text UNIQUE,
  document text NOT NULL
);

CREATE TABLE endpoints (
  merchant_id uuid NOT NULL,
  id uuid NOT NULL,
  number int NOT NULL,
  status text NOT NULL,
  version int NOT NULL,
  document text NOT NULL,
  PRIMARY KEY (merchant_id, id),
  UNIQUE (merchant_id, number)
);

CREATE TABLE endpoint_history (
  merchant_id uuid NOT NULL,
  version bigint NOT NULL, -- of the routing, from which this holds
  endpoint_id uuid NOT NULL,
  number int NOT NULL,
  status text NOT NULL,
  listening boolean NOT NULL,
  events text[] NOT NULL,
  PRIMARY KEY (merchant_id, endpoint_id, version)
);

CREATE TABLE secrets (
  id uuid PRIMARY KEY,
  merchant_id uuid NOT NULL,
  owner_id uuid NOT NULL,
  purpose text NOT NULL,
  sealed bytea NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz
);
CREATE INDEX secrets_owner ON secrets (merchant_id, owner_id);

-- An operator's key has sixteen zero bytes for a merchant, as its audit chain has.
CREATE TABLE api_keys (
  id uuid PRIMARY KEY,
  merchant_id uuid NOT NULL,
  digest bytea NOT NULL UNIQUE,
  expires_at timestamptz,
  revoked_at timestamptz,
  document text NOT NULL
);
CREATE INDEX api_keys_merchant ON api_keys (merchant_id, id);

CREATE TABLE event_types (
  family text NOT NULL,
  name text NOT NULL,
  version int NOT NULL,
  document text NOT NULL,
  PRIMARY KEY (family, name)
);

CREATE TABLE replays (
  merchant_id uuid NOT NULL,
  id uuid NOT NULL,
  state text NOT NULL,
  owner int,
  held_until timestamptz NOT NULL DEFAULT '-infinity',
  document text NOT NULL,
  PRIMARY KEY (merchant_id, id)
);
CREATE INDEX replays_running ON replays (held_until) WHERE state = 'running';

CREATE TABLE announcements (
  id bytea PRIMARY KEY,
  n bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  document text NOT NULL
);

-- The installation's own chain has sixteen zero bytes for a merchant.
CREATE TABLE audit_heads (
  merchant_id uuid PRIMARY KEY,
  number bigint NOT NULL,
  hash bytea NOT NULL
);

CREATE TABLE audit_log (
  merchant_id uuid NOT NULL,
  number bigint NOT NULL,
  hash bytea NOT NULL,
  document text NOT NULL,
  PRIMARY KEY (merchant_id, number)
);

CREATE TABLE workers (
  owner int PRIMARY KEY,
  seen_at timestamptz NOT NULL,
  version text NOT NULL
);

-- The schedule. Narrow rows that change often: room in each page for the new version.

CREATE TABLE routing (
  merchant_id uuid PRIMARY KEY,
  version bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE lanes (
  endpoint_id uuid PRIMARY KEY,
  merchant_id uuid NOT NULL,
  look_at timestamptz NOT NULL DEFAULT 'infinity',
  rest_until timestamptz NOT NULL DEFAULT '-infinity',
  probe_until timestamptz NOT NULL DEFAULT '-infinity', -- a half-open circuit's probe is out
  failing_since timestamptz,
  listened_at timestamptz,
  sequence_last bigint NOT NULL DEFAULT 0, -- of the feed; outlives purged entries
  tat_us bigint NOT NULL DEFAULT 0,
  interval_us bigint, -- between two requests; set with burst where the rate is limited
  burst int,
  lease_s double precision NOT NULL,
  warned int NOT NULL DEFAULT 0,
  shard smallint NOT NULL,
  state smallint NOT NULL, -- 0 open, 1 paused, 2 disabled, 3 deleted, 4 listening
  circuit_open boolean NOT NULL DEFAULT false,
  CHECK (state BETWEEN 0 AND 4),
  CHECK ((interval_us IS NULL) = (burst IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX lanes_look ON lanes (look_at) WHERE state = 0;
CREATE INDEX lanes_failing ON lanes (failing_since) WHERE failing_since IS NOT NULL;
CREATE INDEX lanes_deleted ON lanes (endpoint_id) WHERE state = 3;
CREATE INDEX lanes_listening ON lanes (listened_at) WHERE state = 4;

CREATE TABLE wakes (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  endpoint_id uuid NOT NULL,
  order_key uuid, -- set: the head of this key may have changed
  due_at timestamptz NOT NULL
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX wakes_lane ON wakes (endpoint_id, n);

CREATE TABLE queue (
  merchant_id uuid NOT NULL,
  id uuid NOT NULL,
  endpoint_id uuid NOT NULL,
  order_key uuid,
  replay_id uuid,
  due_at timestamptz NOT NULL,
  position bigint GENERATED BY DEFAULT AS IDENTITY,
  lease_until timestamptz,
  delivered_at timestamptz,
  fence int NOT NULL DEFAULT 0,
  attempts_made int NOT NULL DEFAULT 0,
  owner int,
  dialect_version int NOT NULL,
  shard smallint NOT NULL,
  state smallint NOT NULL, -- 0 scheduled, 1 leased, 2 blocked
  abandoned smallint NOT NULL DEFAULT 0, -- leases in a row that ran out
  replay_bulk boolean,
  event_type text NOT NULL,
  dialect text NOT NULL,
  reason text,
  PRIMARY KEY (merchant_id, id),
  CHECK (state BETWEEN 0 AND 2),
  CHECK ((state = 1) = (lease_until IS NOT NULL)),
  CHECK ((state = 1) = (owner IS NOT NULL)),
  CHECK (state <> 2 OR order_key IS NOT NULL)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX queue_due ON queue (endpoint_id, due_at, position) WHERE state = 0;
CREATE INDEX queue_lease ON queue (lease_until) WHERE state = 1;
CREATE INDEX queue_blocked ON queue (endpoint_id, order_key, position) WHERE state = 2;
CREATE INDEX queue_active ON queue (endpoint_id, order_key)
  WHERE state <> 2 AND order_key IS NOT NULL;
CREATE INDEX queue_replay ON queue (replay_id) WHERE replay_id IS NOT NULL;

CREATE TABLE order_blocks (
  endpoint_id uuid NOT NULL,
  order_key uuid NOT NULL,
  delivery_id uuid NOT NULL,
  PRIMARY KEY (endpoint_id, order_key, delivery_id)
);
CREATE INDEX order_blocks_delivery ON order_blocks (delivery_id);

-- One table, not partitioned: a unique key cannot span partitions. The key is a hash of the
-- merchant and the publisher's key, so it begins with neither.
CREATE TABLE idempotency (
  key uuid PRIMARY KEY,
  event_id uuid NOT NULL,
  content uuid NOT NULL,
  deliveries int NOT NULL,
  event_type text NOT NULL
);
-- The heap is in the order of event ids, which is the order in which keys retire.
CREATE INDEX idempotency_event ON idempotency USING brin (event_id);

-- History: append-only, by the event's day.

CREATE TABLE events (
  merchant_id uuid NOT NULL,
  id uuid NOT NULL,
  payload_key_id uuid,
  occurred_at timestamptz,
  routing_version bigint NOT NULL,
  fan_out int NOT NULL, -- deliveries made at accept: reconcile's independent count
  payload_encoding smallint NOT NULL DEFAULT 0,
  expunged boolean NOT NULL DEFAULT false,
  type text NOT NULL,
  family text NOT NULL,
  object_type text,
  object_id text,
  ordering_key text,
  metadata bytea,
  data bytea NOT NULL,
  PRIMARY KEY (merchant_id, id)
) PARTITION BY RANGE (id);
CREATE TABLE events_default PARTITION OF events DEFAULT;
CREATE INDEX events_object ON events (merchant_id, object_id, id) WHERE object_id IS NOT NULL;
CREATE INDEX events_unsubscribed ON events (merchant_id, id) WHERE fan_out = 0;

CREATE TABLE deliveries (
  merchant_id uuid NOT NULL,
  id uuid NOT NULL,
  endpoint_id uuid NOT NULL,
  order_key uuid,
  replay_id uuid,
  position bigint, -- of ordered ones
  finished_at timestamptz NOT NULL,
  delivered_at timestamptz,
  fence int NOT NULL,
  attempts_made int NOT NULL,
  dialect_version int NOT NULL,
  state smallint NOT NULL, -- 3 delivered, 4 failed, 5 cancelled
  event_type text NOT NULL,
  dialect text NOT NULL,
  reason text,
  PRIMARY KEY (merchant_id, id),
  CHECK (state BETWEEN 3 AND 5),
  CHECK (state <> 3 OR delivered_at IS NOT NULL)
) PARTITION BY RANGE (id);
CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT;
CREATE INDEX deliveries_endpoint ON deliveries (endpoint_id, id);
CREATE INDEX deliveries_failed ON deliveries (endpoint_id, id) WHERE state = 4;
CREATE INDEX deliveries_undelivered ON deliveries (merchant_id, state, id) WHERE state > 3;

CREATE TABLE attempts (
  merchant_id uuid NOT NULL,
  delivery_id uuid NOT NULL,
  at timestamptz NOT NULL,
  fence int NOT NULL,
  status int,
  dns_s double precision NOT NULL DEFAULT 0,
  connect_s double precision NOT NULL DEFAULT 0,
  tls_s double precision NOT NULL DEFAULT 0,
  wait_s double precision NOT NULL DEFAULT 0,
  total_s double precision NOT NULL DEFAULT 0,
  late boolean NOT NULL,
  reason text,
  detail text NOT NULL,
  peer text,
  PRIMARY KEY (merchant_id, delivery_id, fence, late)
) PARTITION BY RANGE (delivery_id);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

CREATE TABLE bodies (
  merchant_id uuid NOT NULL,
  delivery_id uuid NOT NULL,
  payload_key_id uuid,
  fence int NOT NULL, -- 0 for the rendered body
  payload_encoding smallint NOT NULL DEFAULT 0,
  kind smallint NOT NULL, -- 0 the rendered request, 1 an answer
  late boolean NOT NULL DEFAULT false,
  truncated boolean NOT NULL DEFAULT false,
  headers text,
  body bytea NOT NULL,
  PRIMARY KEY (merchant_id, delivery_id, kind, fence, late)
) PARTITION BY RANGE (delivery_id);
CREATE TABLE bodies_default PARTITION OF bodies DEFAULT;

CREATE TABLE feed_entries (
  endpoint_id uuid NOT NULL,
  sequence bigint NOT NULL,
  delivery_id uuid NOT NULL,
  PRIMARY KEY (endpoint_id, sequence)
);
CREATE UNIQUE INDEX feed_entries_delivery ON feed_entries (endpoint_id, delivery_id);
CREATE INDEX feed_entries_age ON feed_entries USING brin (delivery_id);

-- lz4 costs half of the default's CPU, but a server may be built without it.
DO $$
BEGIN
  ALTER TABLE events ALTER COLUMN data SET COMPRESSION lz4;
  ALTER TABLE events_default ALTER COLUMN data SET COMPRESSION lz4;
  ALTER TABLE bodies ALTER COLUMN body SET COMPRESSION lz4;
  ALTER TABLE bodies_default ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
  RAISE NOTICE 'this server has no lz4; payloads use pglz';
END
$$;

-- The two sides of a delivery in one shape; where both know one (a replay), the queue is right.
CREATE VIEW deliveries_all AS
  SELECT q.merchant_id, q.id, q.endpoint_id, q.order_key, q.replay_id, q.position, q.due_at,
    NULL::timestamptz AS finished_at, q.delivered_at, q.fence, q.attempts_made,
    q.dialect_version, q.state, q.event_type, q.dialect, q.reason
  FROM queue q
  UNION ALL
  SELECT d.merchant_id, d.id, d.endpoint_id, d.order_key, d.replay_id, NULL, NULL,
    d.finished_at, d.delivered_at, d.fence, d.attempts_made,
    d.dialect_version, d.state, d.event_type, d.dialect, d.reason
  FROM deliveries d
  WHERE NOT EXISTS (SELECT FROM queue q WHERE q.merchant_id = d.merchant_id AND q.id = d.id);

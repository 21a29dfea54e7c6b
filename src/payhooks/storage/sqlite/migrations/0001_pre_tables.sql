-- The first schema. Ids are 16 bytes, times whole microseconds since 1970, truth values 0 or 1.
--
-- No foreign keys on hot tables: each would cost a look-up per row, and one writer that
-- writes whole uses cannot leave a child without its parent.

CREATE TABLE merchants (
  id BLOB NOT NULL PRIMARY KEY,
  reference TEXT UNIQUE,
  version INTEGER NOT NULL,
  last_number INTEGER NOT NULL DEFAULT 0, -- of its endpoints; never given twice
  document BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoints (
  id BLOB NOT NULL PRIMARY KEY,
  merchant_id BLOB NOT NULL,
  number INTEGER NOT NULL,
  version INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  document BLOB NOT NULL,
  UNIQUE (merchant_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoint_history (
  merchant_id BLOB NOT NULL,
  number INTEGER NOT NULL,
  version INTEGER NOT NULL, -- of the merchant's routing
  endpoint_id BLOB NOT NULL,
  document BLOB NOT NULL,
  PRIMARY KEY (merchant_id, number, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
  id BLOB NOT NULL PRIMARY KEY,
  merchant_id BLOB NOT NULL,
  owner_id BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  sealed BLOB NOT NULL,
  document BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
  id BLOB NOT NULL PRIMARY KEY,
  merchant_id BLOB, -- null: the operator's
  digest BLOB NOT NULL UNIQUE,
  expires_at INTEGER,
  revoked INTEGER NOT NULL,
  document BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE event_types (
  family TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  document BLOB NOT NULL,
  PRIMARY KEY (family, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE routing (
  merchant_id BLOB NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per endpoint: when it is next due, and whether it may send at all.
CREATE TABLE lanes (
  endpoint_id BLOB NOT NULL PRIMARY KEY,
  merchant_id BLOB NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4), -- open paused disabled deleted listening
  look_at INTEGER NOT NULL,
  rest_until INTEGER NOT NULL DEFAULT 0,
  circuit_open INTEGER NOT NULL DEFAULT 0,
  probe_until INTEGER NOT NULL DEFAULT 0,
  rate_per_s REAL,
  tat INTEGER NOT NULL DEFAULT 0,
  lease_us INTEGER NOT NULL,
  failing_since INTEGER,
  warned INTEGER NOT NULL DEFAULT 0,
  listened_at INTEGER,
  swept INTEGER NOT NULL DEFAULT 0, -- deleted, and nothing of it is undone any more
  feed_last INTEGER NOT NULL DEFAULT 0, -- the last sequence given in its feed
  feed_id BLOB NOT NULL DEFAULT x'' -- the greatest delivery id that has one
) STRICT, WITHOUT ROWID;

-- Word for a lane that something is due, or for an ordered object that its head is gone.
CREATE TABLE wakes (
  n INTEGER PRIMARY KEY,
  endpoint_id BLOB NOT NULL,
  order_key BLOB,
  due_at INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
  key BLOB NOT NULL PRIMARY KEY,
  event_id BLOB NOT NULL,
  content BLOB NOT NULL,
  event_type TEXT NOT NULL,
  deliveries INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- With a rowid, which follows accept order: retention walks it, and rows are too large to be keys.
CREATE TABLE events (
  n INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  merchant_id BLOB NOT NULL,
  type TEXT NOT NULL,
  family TEXT NOT NULL,
  object_type TEXT,
  object_id TEXT,
  occurred_at INTEGER,
  ordering_key TEXT,
  metadata BLOB,
  idempotency BLOB,
  routing_version INTEGER NOT NULL,
  fan_out INTEGER NOT NULL,
  expunged INTEGER NOT NULL DEFAULT 0,
  payload_encoding INTEGER NOT NULL DEFAULT 0, -- 0: data as it came
  payload_key_id BLOB,
  data BLOB NOT NULL,
  UNIQUE (merchant_id, id)
) STRICT;

-- Undone deliveries only.
CREATE TABLE queue (
  merchant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  endpoint_id BLOB NOT NULL,
  event_type TEXT NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2), -- scheduled leased blocked
  due_at INTEGER NOT NULL,
  position INTEGER NOT NULL,
  order_key BLOB,
  fence INTEGER NOT NULL DEFAULT 0,
  attempts_made INTEGER NOT NULL DEFAULT 0,
  abandoned INTEGER NOT NULL DEFAULT 0,
  owner INTEGER,
  lease_until INTEGER,
  dialect TEXT NOT NULL,
  dialect_version INTEGER NOT NULL,
  replay_id BLOB,
  replay_bulk INTEGER,
  delivered_at INTEGER,
  reason TEXT,
  PRIMARY KEY (merchant_id, id),
  CHECK ((state = 1) = (lease_until IS NOT NULL)),
  CHECK ((state = 1) = (owner IS NOT NULL)),
  CHECK (state <> 2 OR order_key IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- Deliveries that are over.
CREATE TABLE deliveries (
  merchant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  endpoint_id BLOB NOT NULL,
  event_type TEXT NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 3 AND 5), -- delivered failed cancelled
  fence INTEGER NOT NULL,
  attempts_made INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  delivered_at INTEGER,
  reason TEXT,
  dialect TEXT NOT NULL,
  dialect_version INTEGER NOT NULL,
  replay_id BLOB,
  position INTEGER NOT NULL,
  order_key BLOB,
  PRIMARY KEY (merchant_id, id),
  CHECK (state <> 3 OR delivered_at IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
  delivery_id BLOB NOT NULL,
  fence INTEGER NOT NULL,
  late INTEGER NOT NULL,
  at INTEGER NOT NULL,
  status INTEGER,
  reason TEXT,
  detail TEXT NOT NULL,
  timing BLOB NOT NULL,
  peer TEXT,
  PRIMARY KEY (delivery_id, fence, late)
) STRICT, WITHOUT ROWID;

-- What was kept of answers; shorter-lived than the attempts.
CREATE TABLE bodies (
  n INTEGER PRIMARY KEY,
  delivery_id BLOB NOT NULL,
  fence INTEGER NOT NULL,
  late INTEGER NOT NULL,
  kept_at INTEGER NOT NULL,
  truncated INTEGER NOT NULL,
  headers BLOB NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (delivery_id, fence, late)
) STRICT;

-- Request bodies as first sent, so that an upgrade of a dialect cannot change a retry.
CREATE TABLE rendered (
  n INTEGER PRIMARY KEY,
  delivery_id BLOB NOT NULL UNIQUE,
  merchant_id BLOB NOT NULL,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE feed_entries (
  endpoint_id BLOB NOT NULL,
  sequence INTEGER NOT NULL,
  merchant_id BLOB NOT NULL,
  delivery_id BLOB NOT NULL UNIQUE,
  PRIMARY KEY (endpoint_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE replays (
  id BLOB NOT NULL PRIMARY KEY,
  merchant_id BLOB NOT NULL,
  running INTEGER NOT NULL,
  owner INTEGER,
  claimed_until INTEGER NOT NULL DEFAULT 0,
  document BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE announcements (
  n INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  document BLOB NOT NULL
) STRICT;

-- The installation's own chain has sixteen zero bytes for a merchant.
CREATE TABLE audit_log (
  chain BLOB NOT NULL,
  number INTEGER NOT NULL,
  hash BLOB NOT NULL,
  document BLOB NOT NULL,
  PRIMARY KEY (chain, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_heads (
  chain BLOB NOT NULL PRIMARY KEY,
  number INTEGER NOT NULL,
  hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
  owner INTEGER PRIMARY KEY,
  seen_at INTEGER NOT NULL,
  version TEXT NOT NULL
) STRICT;

-- Objects that wait for a person, because their head failed on an endpoint with on_failed: block.
CREATE TABLE order_blocks (
  endpoint_id BLOB NOT NULL,
  order_key BLOB NOT NULL,
  delivery_id BLOB NOT NULL UNIQUE,
  position INTEGER NOT NULL,
  PRIMARY KEY (endpoint_id, order_key)
) STRICT, WITHOUT ROWID;

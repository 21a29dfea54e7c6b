-- What providers send: by which connector it comes, what was kept of it, what became of that.

CREATE TABLE connectors (
  merchant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  name TEXT NOT NULL,
  dialect TEXT NOT NULL,
  version INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  document BLOB NOT NULL,
  PRIMARY KEY (merchant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX connectors_name ON connectors (merchant_id, name) WHERE deleted = 0;

CREATE TABLE connector_health (
  merchant_id BLOB NOT NULL,
  connector_id BLOB NOT NULL,
  received INTEGER NOT NULL,
  unverified INTEGER NOT NULL,
  last_received_at INTEGER NOT NULL, -- 0: never
  last_unverified_at INTEGER NOT NULL,
  quarantined INTEGER NOT NULL CHECK (quarantined >= 0),
  quarantined_bytes INTEGER NOT NULL CHECK (quarantined_bytes >= 0),
  dropped INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (merchant_id, connector_id)
) STRICT, WITHOUT ROWID;

-- The document is what never changes; what became of the receipt is beside it. The body comes
-- last, so that what is long need not be read to know the rest.
CREATE TABLE receipts (
  n INTEGER PRIMARY KEY,
  merchant_id BLOB NOT NULL,
  id BLOB NOT NULL,
  connector_id BLOB NOT NULL,
  state TEXT NOT NULL,
  owner INTEGER,
  claimed_until INTEGER NOT NULL,
  detail TEXT,
  word TEXT,
  object_type TEXT,
  object_id TEXT,
  document BLOB NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (merchant_id, id),
  CHECK (owner IS NULL OR state = 'received')
) STRICT;
-- claim: the oldest that nobody holds.
CREATE INDEX receipts_waiting ON receipts (id, claimed_until) WHERE state = 'received';
-- retire: the oldest of the others.
CREATE INDEX receipts_age ON receipts (id) WHERE state <> 'received';
-- Lists that people narrow, a state at a time.
CREATE INDEX receipts_state ON receipts (merchant_id, state, id);
CREATE INDEX receipts_connector ON receipts (merchant_id, connector_id, state, id);

-- Which receipts are about an object, and what was told with each.
CREATE TABLE heard (
  merchant_id BLOB NOT NULL,
  object_type TEXT NOT NULL,
  object_id TEXT NOT NULL,
  receipt_id BLOB NOT NULL,
  connector_id BLOB NOT NULL,
  said TEXT NOT NULL, -- a list of words
  PRIMARY KEY (merchant_id, object_type, object_id, receipt_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX heard_receipt ON heard (merchant_id, receipt_id);

CREATE TABLE object_references (
  merchant_id BLOB NOT NULL,
  reference TEXT NOT NULL,
  object_type TEXT NOT NULL,
  object_id TEXT NOT NULL,
  PRIMARY KEY (merchant_id, reference, object_type, object_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_references_object
  ON object_references (merchant_id, object_type, object_id, reference);

CREATE TABLE expectations (
  merchant_id BLOB NOT NULL,
  object_type TEXT NOT NULL,
  object_id TEXT NOT NULL,
  id BLOB NOT NULL,
  connector_id BLOB NOT NULL,
  due_at INTEGER NOT NULL,
  overdue INTEGER NOT NULL,
  document BLOB NOT NULL,
  PRIMARY KEY (merchant_id, object_type, object_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX expectations_due ON expectations (due_at);
CREATE INDEX expectations_overdue ON expectations (merchant_id, id) WHERE overdue = 1;

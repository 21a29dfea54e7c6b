-- What is played in the sandbox, and where its requests can be looked at.

CREATE TABLE sandbox_runs (
  id BLOB NOT NULL PRIMARY KEY,
  merchant_id BLOB NOT NULL,
  playing INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  owner INTEGER,
  claimed_until INTEGER NOT NULL DEFAULT 0,
  document BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sandbox_runs_merchant ON sandbox_runs (merchant_id, playing, id);
CREATE INDEX sandbox_runs_playing ON sandbox_runs (claimed_until) WHERE playing = 1;

CREATE TABLE inboxes (
  id BLOB NOT NULL PRIMARY KEY,
  merchant_id BLOB NOT NULL,
  digest BLOB NOT NULL UNIQUE,
  document BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX inboxes_merchant ON inboxes (merchant_id, id);

CREATE TABLE inbox_requests (
  inbox_id BLOB NOT NULL,
  id BLOB NOT NULL,
  document BLOB NOT NULL,
  PRIMARY KEY (inbox_id, id)
) STRICT, WITHOUT ROWID;

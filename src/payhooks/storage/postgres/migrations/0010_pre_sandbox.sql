-- What is played in the sandbox, and where its requests can be looked at.

CREATE TABLE sandbox_runs (
  merchant_id uuid NOT NULL,
  id uuid NOT NULL,
  state text NOT NULL,
  revision int NOT NULL,
  owner int,
  held_until timestamptz NOT NULL DEFAULT '-infinity',
  document text NOT NULL,
  PRIMARY KEY (merchant_id, id)
);
CREATE INDEX sandbox_runs_playing ON sandbox_runs (held_until) WHERE state = 'playing';

CREATE TABLE inboxes (
  merchant_id uuid NOT NULL,
  id uuid NOT NULL,
  digest bytea NOT NULL UNIQUE,
  document text NOT NULL,
  PRIMARY KEY (merchant_id, id)
);

CREATE TABLE inbox_requests (
  inbox_id uuid NOT NULL,
  id uuid NOT NULL,
  document text NOT NULL,
  PRIMARY KEY (inbox_id, id)
);

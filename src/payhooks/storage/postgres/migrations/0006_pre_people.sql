-- People behind the console: few rows, asked by name, by cookie and by link.

CREATE TABLE users (
  id uuid PRIMARY KEY,
  username text NOT NULL UNIQUE, -- in small letters, as the document need not be
  email text NOT NULL UNIQUE, -- likewise
  version int NOT NULL,
  disabled boolean NOT NULL,
  document text NOT NULL
);

CREATE TABLE memberships (
  merchant_id uuid NOT NULL,
  user_id uuid NOT NULL,
  role text NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (merchant_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id, merchant_id);

CREATE TABLE invitations (
  id uuid PRIMARY KEY,
  merchant_id uuid NOT NULL,
  digest bytea NOT NULL UNIQUE,
  document text NOT NULL
);
CREATE INDEX invitations_merchant ON invitations (merchant_id, id);

CREATE TABLE sessions (
  id uuid PRIMARY KEY,
  digest bytea NOT NULL UNIQUE,
  user_id uuid NOT NULL,
  merchant_id uuid,
  created_at timestamptz NOT NULL,
  seen_at timestamptz NOT NULL,
  factor_at timestamptz,
  ip text,
  agent text NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_seen ON sessions (seen_at);

CREATE TABLE sign_in_tries (
  subject bytea PRIMARY KEY,
  count int NOT NULL,
  last_at timestamptz NOT NULL
);
CREATE INDEX sign_in_tries_age ON sign_in_tries (last_at);

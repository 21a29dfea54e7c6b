-- People behind the console: few rows, asked by name, by cookie and by link.

CREATE TABLE users (
  id BLOB NOT NULL PRIMARY KEY,
  username TEXT NOT NULL UNIQUE, -- in small letters, as the document need not be
  email TEXT NOT NULL UNIQUE, -- likewise
  version INTEGER NOT NULL,
  disabled INTEGER NOT NULL,
  document BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE memberships (
  merchant_id BLOB NOT NULL,
  user_id BLOB NOT NULL,
  role TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (merchant_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_user ON memberships (user_id, merchant_id);

CREATE TABLE invitations (
  id BLOB NOT NULL PRIMARY KEY,
  merchant_id BLOB NOT NULL,
  digest BLOB NOT NULL UNIQUE,
  document BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invitations_merchant ON invitations (merchant_id, id);

CREATE TABLE sessions (
  id BLOB NOT NULL PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  user_id BLOB NOT NULL,
  merchant_id BLOB,
  created_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  factor_at INTEGER,
  ip TEXT,
  agent TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_seen ON sessions (seen_at);

CREATE TABLE sign_in_tries (
  subject BLOB NOT NULL PRIMARY KEY,
  count INTEGER NOT NULL,
  last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_tries_age ON sign_in_tries (last_at);

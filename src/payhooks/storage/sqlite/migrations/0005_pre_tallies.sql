-- Counts by step, for charts and lists; the endpoint of a merchant as a whole is all zeroes.

CREATE TABLE tallies (
  merchant_id BLOB NOT NULL,
  endpoint_id BLOB NOT NULL,
  step_s INTEGER NOT NULL,
  at INTEGER NOT NULL,
  accepted INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  attempts_failed INTEGER NOT NULL,
  took_50 INTEGER NOT NULL,
  took_100 INTEGER NOT NULL,
  took_200 INTEGER NOT NULL,
  took_500 INTEGER NOT NULL,
  took_1000 INTEGER NOT NULL,
  took_2000 INTEGER NOT NULL,
  took_5000 INTEGER NOT NULL,
  took_15000 INTEGER NOT NULL,
  took_more INTEGER NOT NULL,
  PRIMARY KEY (merchant_id, endpoint_id, step_s, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX tallies_hours ON tallies (merchant_id, step_s, at); -- of all endpoints of a merchant
CREATE INDEX tallies_age ON tallies (step_s, at);

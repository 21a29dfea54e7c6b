-- Counts by step, for charts and lists; the endpoint of a merchant as a whole is all zeroes.

CREATE TABLE tallies (
  merchant_id uuid NOT NULL,
  endpoint_id uuid NOT NULL,
  step_s int NOT NULL,
  at timestamptz NOT NULL,
  accepted int NOT NULL,
  delivered int NOT NULL,
  failed int NOT NULL,
  attempts int NOT NULL,
  attempts_failed int NOT NULL,
  took_50 int NOT NULL,
  took_100 int NOT NULL,
  took_200 int NOT NULL,
  took_500 int NOT NULL,
  took_1000 int NOT NULL,
  took_2000 int NOT NULL,
  took_5000 int NOT NULL,
  took_15000 int NOT NULL,
  took_more int NOT NULL,
  PRIMARY KEY (merchant_id, endpoint_id, step_s, at)
) WITH (fillfactor = 70); -- A row is added to every few seconds while its step lasts.
CREATE INDEX tallies_hours ON tallies (merchant_id, step_s, at); -- of all endpoints of a merchant
CREATE INDEX tallies_age ON tallies (step_s, at);

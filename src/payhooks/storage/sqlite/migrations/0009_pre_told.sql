-- What was told with receipts that are retired, so that it is not told once more.
CREATE TABLE told (
  merchant_id BLOB NOT NULL,
  object_type TEXT NOT NULL,
  object_id TEXT NOT NULL,
  connector_id BLOB NOT NULL,
  receipt_id BLOB NOT NULL,
  said TEXT NOT NULL, -- a list of words
  PRIMARY KEY (merchant_id, object_type, object_id, connector_id, receipt_id)
) STRICT, WITHOUT ROWID;
-- forget_said: the oldest.
CREATE INDEX told_age ON told (receipt_id);

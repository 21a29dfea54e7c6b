-- Lists that people narrow. All but one are of rows that are rare while all is well, so that the
-- hot path does not touch them.

-- What failed or was called off, newest first …
CREATE INDEX deliveries_undelivered ON deliveries (merchant_id, state, id) WHERE state > 3;
-- … and why; what was delivered has no reason.
CREATE INDEX deliveries_reason ON deliveries (merchant_id, reason, id) WHERE reason IS NOT NULL;
-- The one that every delivery pays for, when it is settled and nobody waits: a type of which there
-- are ten in a million is found no other way. Events are found by type through it, too …
CREATE INDEX deliveries_type ON deliveries (merchant_id, event_type, id);
-- … unless nobody had selected them.
CREATE INDEX events_unsubscribed ON events (merchant_id, type, id) WHERE fan_out = 0;

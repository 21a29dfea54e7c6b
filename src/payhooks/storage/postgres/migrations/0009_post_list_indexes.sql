-- Lists that people narrow. All but one are of rows that are rare while all is well, so that the
-- hot path does not touch them. ON ONLY: days yet to come have them from their beginning; those
-- that are there get theirs one by one, while all goes on: see indexes.py.

-- Why something failed; what was delivered has no reason.
CREATE INDEX deliveries_reason ON ONLY deliveries (merchant_id, reason, id)
WHERE reason IS NOT NULL;
-- The one that every delivery pays for, when it is settled and nobody waits: a type of which there
-- are ten in a million is found no other way. Events are found by type through it, too …
CREATE INDEX deliveries_type ON ONLY deliveries (merchant_id, event_type, id);
-- … unless nobody had selected them.
CREATE INDEX events_unsubscribed_type ON ONLY events (merchant_id, type, id) WHERE fan_out = 0;

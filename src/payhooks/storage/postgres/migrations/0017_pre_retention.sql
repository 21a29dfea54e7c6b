-- Indexes by which retention finds what is old are built beside the traffic: see indexes.py.
COMMENT ON TABLE idempotency IS 'Keys of publishers, for as long as their events are kept.';

-- The first version leaves nothing behind that only old code would need.
COMMENT ON TABLE wakes IS 'Lanes to look at; consumed by lease_v1 under the lock of the lane.';

-- The first version leaves nothing behind that only old code would need.
COMMENT ON TABLE lanes IS 'One row an endpoint; never written by accept_v1 or settle_v1.';

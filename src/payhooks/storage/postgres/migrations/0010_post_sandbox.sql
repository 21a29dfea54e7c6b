-- Nothing is there that only old code would need.
COMMENT ON TABLE sandbox_runs IS 'Scenarios that are played for sandbox merchants.';

-- Nothing is there that only old code would need.
COMMENT ON TABLE tallies IS 'Counts by merchant or endpoint and by step of time, for charts.';

-- Nothing that the new code could not do without.
COMMENT ON INDEX deliveries_undelivered IS 'Lists of what failed or was called off.';

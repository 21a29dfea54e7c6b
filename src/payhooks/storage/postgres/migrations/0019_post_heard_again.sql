-- Nothing is there that only old code would need.
COMMENT ON COLUMN expectations.heard_again IS 'Whether more was heard since it was claimed.';

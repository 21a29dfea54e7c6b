-- Nothing is there that only old code would need.
COMMENT ON TABLE sign_in_tries IS 'Tries in a row, by the hash of whom or where they were of.';

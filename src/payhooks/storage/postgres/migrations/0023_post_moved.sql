-- Nothing is there that only old code would need.
COMMENT ON FUNCTION conclude_v1 IS 'Ends receipts, with links, names and what is expected.';

-- Nothing is there that only old code would need: settle_v2 calls settle_v1.
COMMENT ON FUNCTION settle_v2 IS 'Outcomes of one batch; whether each lease still held.';

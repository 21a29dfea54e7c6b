-- The first version leaves nothing behind that only old code would need.
COMMENT ON TABLE order_blocks IS 'Failed deliveries that hold their object up until a person acts.';

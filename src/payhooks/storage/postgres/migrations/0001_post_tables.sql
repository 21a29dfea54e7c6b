-- The first version leaves nothing behind that only old code would need.
COMMENT ON TABLE queue IS 'Undone deliveries only; those that are over are in deliveries.';

-- Nothing that the new code could not do without.
COMMENT ON TABLE receipts IS 'What providers sent, as it came; what it told is in events.';

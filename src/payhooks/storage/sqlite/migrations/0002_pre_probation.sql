-- lease: what two processes in a row died with, which goes out apart (ADR 0009). Empty while all is
-- well, so it costs the hot path nothing.
CREATE INDEX queue_probation ON queue (endpoint_id, due_at, position)
WHERE state = 0 AND abandoned > 1;

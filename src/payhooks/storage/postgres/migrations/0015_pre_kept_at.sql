-- When a body was kept: one of a retry or a replay is younger than its delivery. Those that are
-- there count as kept with it. The default, so that the functions that write them stay as they are.
ALTER TABLE bodies ADD COLUMN kept_at timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE bodies ALTER COLUMN kept_at SET DEFAULT payhooks_now();

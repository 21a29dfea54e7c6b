-- retire_bodies: the oldest. By n, those that were kept while the clock was ahead stood before them.
CREATE INDEX bodies_kept ON bodies (kept_at);

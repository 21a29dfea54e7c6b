-- Retention: the oldest, and whether anything of a day is young. ON ONLY: see indexes.py.
CREATE INDEX bodies_kept ON ONLY bodies (kept_at);

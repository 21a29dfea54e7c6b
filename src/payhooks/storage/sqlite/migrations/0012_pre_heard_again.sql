-- How often it was heard that the object waits, beside the first time: who judged it before that
-- must not end it.
ALTER TABLE expectations ADD COLUMN heard_again INTEGER NOT NULL DEFAULT 0;

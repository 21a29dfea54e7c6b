-- Those of before say nothing any more once the space of what was retired is used again.
DROP INDEX idempotency_event, feed_entries_age;

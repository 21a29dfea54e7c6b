-- Nobody sends again any more by what was counted.
DROP FUNCTION requeue_v1;
-- Nor takes back what leaves the body of the replay.
DROP FUNCTION take_back_v2;

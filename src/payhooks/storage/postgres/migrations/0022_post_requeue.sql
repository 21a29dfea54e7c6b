-- Nobody sends again any more by what was counted.
DROP FUNCTION requeue_v1;

-- Nobody looks any more at every lane that was ever deleted.
DROP INDEX lanes_deleted;

-- Nobody leases any more with what folds the lanes of the oldest wakes only.
DROP FUNCTION lease_v3;
DROP FUNCTION fold_v1;

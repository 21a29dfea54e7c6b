-- Nobody looks any more at every lane that was ever deleted.
DROP INDEX lanes_deleted;

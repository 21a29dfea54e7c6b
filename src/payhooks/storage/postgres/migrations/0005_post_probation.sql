-- Nobody leases any more without looking at what died before.
DROP FUNCTION lease_v1;

-- Those that processes of the version before have written meanwhile.
SELECT payhooks_mend_leases();
DROP FUNCTION payhooks_mend_leases;

-- Nobody leases any more without bounding what a lane owes.
DROP FUNCTION lease_v2;
DROP FUNCTION mend_lanes_v1;

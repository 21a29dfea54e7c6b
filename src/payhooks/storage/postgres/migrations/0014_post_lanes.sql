-- Those that processes of the version before have written meanwhile.
SELECT payhooks_mend_leases();
DROP FUNCTION payhooks_mend_leases;

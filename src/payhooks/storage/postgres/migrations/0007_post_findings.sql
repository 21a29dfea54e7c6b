-- Nobody accepts any more without keeping what was found.
DROP FUNCTION accept_v1;

-- Everybody says by now whose turn it is not.
DROP FUNCTION claim_expectations_v1;

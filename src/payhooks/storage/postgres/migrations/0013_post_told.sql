-- Nobody retires a receipt any more without remembering what it told.
DROP FUNCTION retire_receipts_v1;

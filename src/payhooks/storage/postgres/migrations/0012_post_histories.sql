-- Nobody ends a receipt any more without having seen what ended before it.
DROP FUNCTION accept_heard_v1;

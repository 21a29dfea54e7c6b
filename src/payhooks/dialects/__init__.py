"""One provider's webhook language per file, both ways: no I/O, no clock, no logging."""

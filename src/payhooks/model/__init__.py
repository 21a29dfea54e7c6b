"""The nouns: frozen values and the state tables. No I/O, no clock, no logging."""

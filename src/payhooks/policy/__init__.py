"""Pure decisions: what an outcome means, when to try again, who hears of what, and how fast.

Nothing here does I/O, reads a clock or keeps state: time and randomness are arguments.
"""

"""What developers play with: lives of payments as scenarios, and a receiver that misbehaves.

A file of ``scenarios/`` says what happens; ``scenarios.py`` reads it, ``script.py`` makes of it the
exact list of events, and ``flow/play.py`` publishes them. Nothing here does I/O but the receiver.
"""

from payhooks.sandbox.receiver import Receiver, Sight

__all__ = ["Receiver", "Sight"]

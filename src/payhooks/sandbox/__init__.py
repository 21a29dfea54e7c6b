"""What developers play with: a receiver that misbehaves on demand, and examples of events."""

from payhooks.sandbox.receiver import Receiver, Sight

__all__ = ["Receiver", "Sight"]

"""Everything in dictionaries: obviously correct, quick, and gone at the end."""

from payhooks.storage.memory.rows import DeliveryMoved, EventAccepted
from payhooks.storage.memory.store import MemoryStore

__all__ = ["DeliveryMoved", "EventAccepted", "MemoryStore"]

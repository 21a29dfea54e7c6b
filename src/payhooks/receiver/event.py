"""What a verified request says, in the same words for every dialect."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A verified event. The same ``id`` may come more than once: do its work once."""

    id: str
    type: str
    timestamp: datetime | None  # when it happened, not when it was sent; None: it is not said
    data: Any = field(repr=False)  # numbers with a point are floats; raw has them as written
    raw: bytes = field(repr=False)  # the body as it came
    attempt: int | None  # which attempt this is; not signed, so only for your logs
    format: str = "standard"
    object_type: str | None = None
    object_id: str | None = None
    # What tells an older state of the object from a newer one; None: nothing does.
    ordered_at: datetime | None = None

    def is_newer_than(self, other: "Event | datetime") -> bool:
        """Return whether this tells of a later state than *other*: an event, or its ``ordered_at``.

        False where it cannot be told, because a dialect names no such time or because the two
        are equal (some print whole seconds): then ask the sender for the object as it is now.
        """
        at = other.ordered_at if isinstance(other, Event) else other
        if at is None or self.ordered_at is None:
            return False
        if not isinstance(at, datetime) or at.tzinfo is None:
            raise TypeError("compare with an event, or a datetime that has a time zone")
        return self.ordered_at > at

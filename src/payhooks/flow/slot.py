"""One publication's place in its request, and what it is told in the end."""

import asyncio
from typing import Any, assert_never

import msgspec

from payhooks.errors import (
    HistoryMovedError,
    IdempotencyConflictError,
    InProgressError,
    PayhooksError,
    UnavailableError,
)
from payhooks.flow.publication import Publication, Published
from payhooks.ids import EventId
from payhooks.ports.accepting import KeyBusy, Refused, StaleHistory


class Outcome(msgspec.Struct, frozen=True):
    """What is stored under the key now, whoever stored it."""

    event_id: EventId
    event_type: str
    deliveries: int
    content: bytes


class Slot:
    """It leads its key, or follows who does."""

    __slots__ = ("_decided", "content", "key", "leader", "outcome", "publication", "repeated")

    def __init__(
        self, publication: Publication, key: bytes | None, content: bytes, leader: "Slot | None"
    ) -> None:
        self.publication = publication
        self.key = key
        self.content = content
        self.leader = leader
        self.outcome: Outcome | Exception | None = None
        self.repeated = False
        self._decided: asyncio.Event | None = None  # made by the first follower; most have none

    @property
    def stored(self) -> bool:
        """Whether there is an event under it, this one or an earlier."""
        return isinstance(self.outcome, Outcome)

    async def followed(self) -> None:
        """Return when the outcome is there."""
        # Who waits with a time limit waits in a task, which begins a step later: by then it
        # may be decided, and nobody would set an event that is made now.
        if self.outcome is not None:
            return
        if self._decided is None:
            self._decided = asyncio.Event()
        await self._decided.wait()

    def decide(self, outcome: Outcome | Exception) -> None:
        """Set the outcome; the first word stands."""
        if self.outcome is None:
            self.outcome = outcome
        if self._decided is not None:
            self._decided.set()

    def told(self) -> Published | Exception:
        """Return what the publisher is told, once the outcome is there."""
        leader = self.leader or self
        outcome = leader.outcome
        assert outcome is not None
        if isinstance(outcome, Exception):
            return outcome
        if outcome.content != self.content:
            return IdempotencyConflictError(
                "this idempotency key was used before with other content", content=outcome.content
            )
        return Published(
            event_id=outcome.event_id,
            type=outcome.event_type,
            deliveries=outcome.deliveries,
            repeated=leader.repeated or self.leader is not None,
        )


def refusal(acceptance: KeyBusy | StaleHistory | Refused) -> PayhooksError:
    """Return what a publisher is told of an event that was not stored."""
    match acceptance:
        case KeyBusy():
            return InProgressError("a request with this idempotency key is under way")
        case StaleHistory():
            return HistoryMovedError("more was heard of the object meanwhile")
        case Refused(error=error):
            return error
        case _:
            assert_never(acceptance)


def error_of(done: "asyncio.Future[Any]") -> Exception | None:
    """Return why a future has no result; None where it has one."""
    if done.cancelled():
        return UnavailableError("broken off")
    error = done.exception()
    assert error is None or isinstance(error, Exception)
    return error

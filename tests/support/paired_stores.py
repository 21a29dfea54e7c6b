"""Two stores asked the same questions: whatever one answers differently is a bug of one of them.

``Pair`` stands in for a store: it asks the model and the real one, compares, and answers as the
model did. What the port leaves open is left open here too: the order of lanes in one look, the
numbers of positions, and on PostgreSQL, whose clock is its own, a moment in every time.
"""

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, Final, cast

import msgspec

from payhooks.errors import PayhooksError
from payhooks.ports.accepting import Routing
from payhooks.ports.leasing import Lease
from payhooks.ports.store import Store
from payhooks.storage.memory import MemoryStore

Method = Callable[..., Coroutine[object, None, object]]
# Numbers that only order things, and are no store's to choose alike.
_NAMELESS: Final = frozenset({"position"})


class DiffersError(AssertionError):
    """The stores do not agree."""


class Pair:
    """A store that is two; *moment_s* is how far apart their times may be."""

    def __init__(self, model: MemoryStore, real: Store, *, moment_s: float) -> None:
        self.model = model
        self.real = real
        self.moment_s = moment_s

    def as_store(self) -> Store:
        """Return this as what it stands in for."""
        return cast("Store", self)

    def __getattr__(self, name: str) -> Method:
        """Return the method of that name, asked of both."""

        async def ask(*args: object, **named: object) -> object:
            expected = await _outcome(getattr(self.model, name), *args, **named)
            found = await _outcome(getattr(self.real, name), *args, **named)
            what = f"{name}{args}{named}"
            if isinstance(expected, PayhooksError) or isinstance(found, PayhooksError):
                if type(expected) is not type(found):
                    raise DiffersError(f"{what}:\n model {expected!r}\n store {found!r}")
                assert isinstance(expected, PayhooksError)
                raise expected
            # Who asks for one lane is told of no other.
            one_lane = named.get("only") is not None
            self._compare(what, _normal(name, expected), _normal(name, found), one_lane=one_lane)
            return expected

        return ask

    def _compare(
        self, what: str, expected: object, found: object, *, one_lane: bool = False
    ) -> None:
        if isinstance(expected, Lease) and isinstance(found, Lease):
            if not one_lane:
                self._compare_looks(what, expected, found)
            expected, found = expected.leased, found.leased
        if path := _difference(expected, found, self.moment_s):
            raise DiffersError(f"{what}: at {path}\n model {expected}\n store {found}")

    def _compare_looks(self, what: str, expected: Lease, found: Lease) -> None:
        """Demand that the next look is not too late; too early is harmless where told so."""
        latest = float("inf") if expected.look_again_s is None else expected.look_again_s
        at = float("inf") if found.look_again_s is None else found.look_again_s
        early = at < latest and not self.moment_s
        if at > latest + self.moment_s or early:
            raise DiffersError(f"{what}: looks again after {at} s, not {latest} s")


async def _outcome(method: Method, *args: object, **named: object) -> object:
    try:
        return await method(*args, **named)
    except PayhooksError as error:
        return error


def _normal(name: str, answer: Any) -> object:  # noqa: ANN401 - whatever a store answers
    """Return *answer* with everything in one order that the port leaves open."""
    match name, answer:
        case _, Lease():
            lanes = sorted(answer.leased, key=lambda one: one.endpoint_id)  # stable inside a lane
            return msgspec.structs.replace(answer, leased=tuple(lanes))
        case "expire" | "failing_lanes", _:
            return sorted(
                answer, key=lambda one: (one.endpoint_id, getattr(one, "delivery_id", b""))
            )
        case "routing", _:
            return [_routing(one) for one in sorted(answer, key=lambda one: one.merchant.id)]
        case "claim_replays" | "silent_listeners" | "replay_backlog", _:
            return sorted(answer, key=str)
        case _:
            return answer


def _routing(routing: Routing) -> Routing:
    return msgspec.structs.replace(
        routing,
        secrets=tuple(sorted(routing.secrets, key=lambda one: one.id)),
        keys=tuple(sorted(routing.keys, key=lambda one: one.id)),
    )


def _difference(expected: object, found: object, moment_s: float) -> str:
    """Return where the two differ; empty where they do not."""
    match expected, found:
        case msgspec.Struct(), msgspec.Struct() if type(expected) is type(found):
            for name in expected.__struct_fields__:
                mine, theirs = getattr(expected, name), getattr(found, name)
                if name in _NAMELESS:
                    mine, theirs = mine is None, theirs is None
                if path := _difference(mine, theirs, moment_s):
                    return f"{name} {path}"
            return ""
        case ((list() | tuple()), (list() | tuple())):
            return _difference_of_lists(expected, found, moment_s)
        case datetime(), datetime():
            apart_s = abs((expected - found).total_seconds())
            return "" if apart_s <= moment_s else f"{expected} {found}"
        case ((float() | int()), (float() | int())) if not isinstance(expected, bool):
            close = expected == found or (
                isinstance(expected, float) and abs(expected - found) <= moment_s
            )
            return "" if close else f"{expected} {found}"
        case _:
            return "" if expected == found else f"{expected!r} {found!r}"


def _difference_of_lists(
    expected: Sequence[object], found: Sequence[object], moment_s: float
) -> str:
    if len(expected) != len(found):
        return f"length {len(expected)} {len(found)}"
    for at, (mine, theirs) in enumerate(zip(expected, found, strict=True)):
        if path := _difference(mine, theirs, moment_s):
            return f"[{at}] {path}"
    return ""

"""Step beside the way: orders are told how their payments went, after these were accepted.

Whoever works looks at what came since it looked last, and folds the objects that were touched.
Nothing is remembered but in the events themselves: what is due and not told is told, under a key
that is the same for everybody, so that a death before or after loses and doubles nothing
(docs/adr/0015). Accepting an event knows nothing of this.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from payhooks import limits
from payhooks.clock import Clock
from payhooks.control import orders
from payhooks.control.context import Control
from payhooks.control.event_types import TypeBook
from payhooks.control.orders import OrderWord
from payhooks.errors import ConflictError, PayhooksError, is_outage
from payhooks.flow.accept import Acceptor
from payhooks.flow.publication import Publication, Published
from payhooks.ids import MERCHANT, EventId, MerchantId, first_id_at, to_text
from payhooks.ports.controlling import Window
from payhooks.ports.reading import Subject
from payhooks.ports.telemetry import Telemetry

MERCHANTS_EVERY_S: Final = 5.0
# An event has its id before it is on the disk; whoever is this late was told 503 long ago.
LATE: Final = timedelta(minutes=2)
LATE_EVERY_S: Final = 15.0
# What was accepted just before everything died is told when something works again.
BACK: Final = timedelta(days=7)
_PAGES_PER_STEP: Final = 20
_TRIES_MAX: Final = 3
# What failed is looked at again after this long, then after twice that, and so on.
TROUBLE_WAIT_S: Final = 60.0
_TROUBLE_WAIT_S_MAX: Final = 3_600.0
_TROUBLES_MAX: Final = 10_000
_SKEW: Final = timedelta(seconds=limits.CLOCK_SKEW_S_MAX)


@dataclass(slots=True, kw_only=True)
class _Followed:
    """How far one merchant's events were looked at."""

    id: MerchantId
    back: EventId | None  # what lies before *newest*, and was perhaps looked at by nobody
    newest: EventId
    settled: EventId  # nothing older can still turn up
    again_at_s: float
    done: set[EventId] = field(default_factory=set)  # above *settled*


_Key: TypeAlias = tuple[MerchantId, str, str]  # an object; a merchant as a whole has none


@dataclass(slots=True, kw_only=True)
class _Trouble:
    """That something failed, and when to look there again."""

    wait_s: float
    again_at_s: float


class _Troubles:
    """What failed and is waited with, so that it stops nobody else."""

    def __init__(self, clock: Clock, telemetry: Telemetry) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._known: dict[_Key, _Trouble] = {}

    def waits(self, key: _Key) -> bool:
        """Whether it is too early to look there again."""
        known = self._known.get(key)
        return known is not None and self._clock.monotonic_s() < known.again_at_s

    def due(self, merchant_id: MerchantId) -> Iterator[tuple[str, str]]:
        """Yield the merchant's objects that failed and have waited."""
        for key in list(self._known):
            if key[0] == merchant_id and key[1] and not self.waits(key):
                yield key[1:]

    def failed(self, key: _Key, error: Exception) -> None:
        """Wait with it, and say so the first time."""
        known = self._known.get(key)
        wait_s = TROUBLE_WAIT_S if known is None else min(known.wait_s * 2, _TROUBLE_WAIT_S_MAX)
        self._known[key] = _Trouble(wait_s=wait_s, again_at_s=self._clock.monotonic_s() + wait_s)
        if len(self._known) > _TROUBLES_MAX:
            del self._known[next(iter(self._known))]
        if known is not None:
            return
        if isinstance(error, PayhooksError):
            self._telemetry.alarmed("order_not_told", str(error))
        else:
            self._telemetry.bug_caught("orders", error, about=to_text(MERCHANT, key[0]))

    def over(self, key: _Key) -> None:
        """Forget what works."""
        self._known.pop(key, None)


class OrderFollower:
    """Tells orders how their payments went. One per process that works."""

    def __init__(
        self, control: Control, acceptor: Acceptor, book: TypeBook, *, telemetry: Telemetry
    ) -> None:
        self._control = control
        self._acceptor = acceptor
        self._book = book
        self._telemetry = telemetry
        self._followed: dict[MerchantId, _Followed] = {}
        self._troubles = _Troubles(control.clock, telemetry)
        self._merchants_at_s = 0.0

    async def step(self) -> int:
        """Look at what is new, and at a slice of what is old; return how many words were told."""
        now_s = self._control.clock.monotonic_s()
        if now_s >= self._merchants_at_s:
            await self._find_merchants()
            self._merchants_at_s = now_s + MERCHANTS_EVERY_S
        told = 0
        for one in list(self._followed.values()):
            whole = (one.id, "", "")
            if self._troubles.waits(whole):
                continue
            try:
                told += await self._look(one)
            except Exception as error:  # One merchant's: the others go on.
                if is_outage(error):
                    # Everybody's, so it seems. If it is this one's alone, the others are first.
                    self._followed[one.id] = self._followed.pop(one.id)
                    raise
                self._troubles.failed(whole, error)
            else:
                self._troubles.over(whole)
        return told

    async def _find_merchants(self) -> None:
        found: dict[MerchantId, datetime] = {}
        window = Window(limit=limits.SLICE_ROWS_MAX)
        while page := await self._control.store.merchants_using(orders.FAMILY, window):
            found |= {one.id: one.families_since or one.updated_at for one in page}
            window = Window(limit=limits.SLICE_ROWS_MAX, after=page[-1].id)
        now = self._control.clock.now()
        for id_, since in found.items():
            if id_ not in self._followed:
                # What came before the merchant used this family was no business of its orders.
                began = max(now - BACK, since - _SKEW)
                fresh = max(now - LATE, began)
                self._followed[id_] = _Followed(
                    id=id_,
                    back=EventId(first_id_at(began)) if began < fresh else None,
                    newest=EventId(first_id_at(fresh)),
                    settled=EventId(first_id_at(fresh)),
                    again_at_s=self._control.clock.monotonic_s() + LATE_EVERY_S,
                )
        self._followed = {id_: one for id_, one in self._followed.items() if id_ in found}

    async def _look(self, followed: _Followed) -> int:
        now_s, told = self._control.clock.monotonic_s(), 0
        for subject in self._troubles.due(followed.id):
            told += await self._tell(followed, *subject) or 0
        after = followed.newest
        if now_s >= followed.again_at_s:
            followed.again_at_s = now_s + LATE_EVERY_S
            after = followed.settled
        for _ in range(_PAGES_PER_STEP):
            page = await self._page(followed, after)
            told += await self._tell_all(followed, page)
            if page:
                after = page[-1].event_id
                followed.newest = max(followed.newest, after)
            if len(page) < limits.SLICE_ROWS_MAX:
                self._forget(followed)
                return told + await self._look_back(followed)
        return told

    async def _look_back(self, followed: _Followed) -> int:
        """Look at one slice of what came before this process did."""
        if followed.back is None:
            return 0
        page = await self._page(followed, followed.back)
        told = await self._tell_all(followed, page)
        at_end = len(page) < limits.SLICE_ROWS_MAX or page[-1].event_id > followed.settled
        followed.back = None if at_end else page[-1].event_id
        return told

    async def _page(self, followed: _Followed, after: EventId) -> list[Subject]:
        store = self._control.store
        return await store.subjects(followed.id, after=after, limit=limits.SLICE_ROWS_MAX)

    def _forget(self, followed: _Followed) -> None:
        """Let go of what nothing can come before any more."""
        late = EventId(first_id_at(self._control.clock.now() - LATE))
        followed.settled = max(followed.settled, min(late, followed.newest))
        followed.done = {id_ for id_ in followed.done if id_ > followed.settled}

    async def _tell_all(self, followed: _Followed, page: list[Subject]) -> int:
        book = await self._book.current()
        touched: dict[tuple[str, str], list[EventId]] = {}
        for one in page:
            type_ = book.find(one.family, one.type)
            if type_ is None or one.event_id in followed.done:
                continue
            if orders.concerns(book.kind_of(type_)):
                touched.setdefault((one.object_type, one.object_id), []).append(one.event_id)
        told = 0
        for subject, event_ids in touched.items():
            if self._troubles.waits((followed.id, *subject)):
                continue
            words = await self._tell(followed, *subject)
            if words is not None:
                told += words
                followed.done.update(event_ids)
        return told

    async def _tell(self, followed: _Followed, object_type: str, object_id: str) -> int | None:
        """Tell what is due of one object; return how many words that were.

        None: it has to be looked at again, because others tell of the same order all the time, or
        because something failed, which is the object's own affair.
        """
        key = (followed.id, object_type, object_id)
        try:
            told = await self._tell_in_turn(followed, object_type, object_id)
        except Exception as error:  # One object's: the others go on.
            if is_outage(error):
                raise
            self._troubles.failed(key, error)
            return None
        self._troubles.over(key)
        return told

    async def _tell_in_turn(
        self, followed: _Followed, object_type: str, object_id: str
    ) -> int | None:
        told = 0
        for _ in range(_TRIES_MAX):
            book = await self._book.current()
            words = await orders.due(self._control, followed.id, object_type, object_id, book=book)
            for word in words:
                if not await self._publish(followed.id, word):
                    break
                told += 1
            else:
                return told
        return None

    async def _publish(self, merchant_id: MerchantId, word: OrderWord) -> bool:
        """Publish a word; False where somebody else has said another under its key."""
        publication = Publication(
            type=word.type,
            family=orders.FAMILY,
            data=word.data,
            object_type=orders.OBJECT_TYPE,
            object_id=word.order_id,
            occurred_at=word.occurred_at,
            metadata=word.metadata,
            idempotency_key=word.key,
        )
        [result] = await self._acceptor.publish(
            to_text(MERCHANT, merchant_id), [publication], authorise=lambda _table: None
        )
        if isinstance(result, Published):
            return True
        if isinstance(result, ConflictError):
            return False
        # Here it waits, whatever it is, unless the store is down.
        raise result

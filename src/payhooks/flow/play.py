"""Step beside the way: what a sandbox run's script says is published when its time has come.

A publication's idempotency key is the run's id and its place, and how far the run is, is written
after it. So whoever takes a run over publishes nothing twice, however its last player ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from payhooks import ids
from payhooks.control import sandbox
from payhooks.control.context import SYSTEM, Control, audit_entry
from payhooks.control.deliveries import requeue_of
from payhooks.control.event_types import TypeBook
from payhooks.errors import (
    InProgressError,
    InvalidError,
    NotFoundError,
    PayhooksError,
    UnavailableError,
)
from payhooks.flow.accept import Acceptor
from payhooks.flow.examine import examined
from payhooks.flow.publication import Publication, Published
from payhooks.flow.routing import Directory
from payhooks.model.audit import AuditEntry
from payhooks.model.delivery import State
from payhooks.model.endpoint import EndpointStatus
from payhooks.model.merchant import Merchant
from payhooks.model.sandbox_run import Played, RunState, SandboxRun
from payhooks.ports.controlling import Requeue, Window
from payhooks.sandbox.script import Script, order, repeated

# How soon a new run is found, and how often deliveries are looked at that are to go twice.
LOOK_EVERY_S: Final = 0.2
# Per process; the others wait, or other processes take them. Many more than one merchant may play,
# or slow ones of one would keep everybody else's waiting.
RUNS_HELD_MAX: Final = 400
HELD_S: Final = 10.0  # so long does a run wait whose player died
HELD_MARGIN_S: Final = 2.0
EVENTS_AT_ONCE_MAX: Final = 20  # then the run is written, so that whoever watches sees it go on
# An endpoint that fails for hours does not keep a run from its end, nor us asking all the time.
REPEATS_WAIT_S: Final = 60.0
_REPEATS_LOOK_S_MAX: Final = 2.0
_ENDPOINTS_MAX: Final = 100  # of one event, whose deliveries are sent again
_OUR_FAULT: Final = "Something went wrong on our side. What was published stays; begin it anew."
_UNDONE: Final = frozenset({State.SCHEDULED, State.LEASED, State.BLOCKED})


@dataclass(slots=True, kw_only=True)
class _Held:
    """A run that this process plays."""

    run: SandboxRun
    until_s: float  # by our clock; the store lets others have it a little later
    script: Script
    order: list[int]  # places as they go out
    due_at: list[datetime]  # of each in that order
    repeats: frozenset[int]
    again_at_s: float = 0.0  # not before that: something did not answer, or is awaited
    # Of what is to go twice: how many events are awaited, when to look again, and how much later
    # after that where nothing has ended.
    awaited: int = 0
    look_at_s: float = 0.0
    look_again_s: float = LOOK_EVERY_S


class Player:
    """Plays the runs that this process holds."""

    def __init__(
        self,
        control: Control,
        acceptor: Acceptor,
        directory: Directory,
        book: TypeBook,
        *,
        owner: int,
    ) -> None:
        self._control = control
        self._acceptor = acceptor
        self._directory = directory
        self._book = book
        self._owner = owner
        self._held: dict[bytes, _Held] = {}
        self._look_at_s = 0.0

    async def step(self) -> float:
        """Publish what is due; return how many seconds the next step may wait."""
        now_s = self._control.clock.monotonic_s()
        waits, trouble = [LOOK_EVERY_S], list[Exception]()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            trouble += await self._claim()
        for held in list(self._held.values()):
            if self._control.clock.monotonic_s() >= held.until_s:
                # Somebody else may have it by now; whoever has, goes on where it stands.
                del self._held[held.run.id]
                continue
            try:
                waits.append(await self._play(held))
            except Exception as error:  # noqa: BLE001 - one run's trouble must not stop the others
                trouble.append(error)
                await self._write(held, self._over(held.run, RunState.FAILED, _OUR_FAULT))
        if trouble:
            raise trouble[0]  # counted as the bug it is by whoever asked for the step
        return max(min(waits), 0.0)

    async def _claim(self) -> list[Exception]:
        """Take runs that nobody plays; return what went wrong with single ones, which are over."""
        asked_at_s = self._control.clock.monotonic_s()
        # Those of ours that the store gives first: less than half of their time is left there.
        left_s = HELD_S / 2 - HELD_MARGIN_S
        ending = [one for one in self._held.values() if one.until_s - asked_at_s <= left_s]
        room = RUNS_HELD_MAX - len(self._held) + len(ending)
        if room <= 0:
            return []
        found = await self._control.store.claim_runs(owner=self._owner, limit=room, for_s=HELD_S)
        until_s = asked_at_s + HELD_S - HELD_MARGIN_S
        trouble = list[Exception]()
        for run in found:
            if run.id in self._held:
                self._held[run.id].until_s = until_s
                continue
            book = await self._book.current()
            try:
                written = sandbox.script_of(run, book)
                if written is not None:
                    self._held[run.id] = _held(run, written, until_s=until_s)
                    continue
                why = "This version of Payhooks tells the scenario otherwise; begin it anew."
            except Exception as error:  # noqa: BLE001 - one run's trouble must not stop the others
                trouble.append(error)
                why = _OUR_FAULT
            await self._control.store.write_run(self._over(run, RunState.FAILED, why))
        return trouble

    async def _play(self, held: _Held) -> float:
        """Do the next of one run; return how many seconds it may wait then."""
        now_s = self._control.clock.monotonic_s()
        if now_s < held.again_at_s:
            return held.again_at_s - now_s
        try:
            if len(held.run.played) < len(held.order):
                return await self._publish(held)
            return await self._repeat(held)
        except (UnavailableError, InProgressError):
            held.again_at_s = now_s + LOOK_EVERY_S
            return LOOK_EVERY_S

    async def _publish(self, held: _Held) -> float:
        now = self._control.clock.now()
        done = len(held.run.played)
        ahead = held.order[done : done + EVENTS_AT_ONCE_MAX]
        due = [place for place, at in zip(ahead, held.due_at[done:], strict=False) if at <= now]
        if not due:
            if held.repeats:
                await self._send_again(held)
            return (held.due_at[done] - now).total_seconds()
        if not await self._plays_on(held):
            return 0.0
        try:
            publications = await self._publications(held, due)
        except InvalidError as error:
            await self._write(held, self._over(held.run, RunState.FAILED, str(error)))
            return 0.0
        merchant = ids.to_text(ids.MERCHANT, held.run.merchant_id)
        results = await self._acceptor.publish(
            merchant, publications, authorise=lambda _table: None
        )
        played = []
        refused: PayhooksError | None = None
        for place, result in zip(due, results, strict=True):
            if not isinstance(result, Published):
                refused = result
                break
            at = ids.made_at(result.event_id)
            played.append(Played(place=place, event_id=result.event_id, at=at))
        run = msgspec.structs.replace(held.run, played=(*held.run.played, *played))
        if refused is not None and not isinstance(refused, UnavailableError | InProgressError):
            run = self._over(run, RunState.FAILED, str(refused))
        if run != held.run:
            await self._write(held, run)
            held.look_at_s, held.look_again_s = 0.0, LOOK_EVERY_S
        if refused is not None:
            held.again_at_s = self._control.clock.monotonic_s() + LOOK_EVERY_S
        return 0.0

    async def _publications(self, held: _Held, places: Sequence[int]) -> list[Publication]:
        """Return what is to be said, as the door would take it from anybody else.

        Raises:
            InvalidError: It would refuse one: the merchant checks strictly.

        """
        table = await self._directory.find(ids.to_text(ids.MERCHANT, held.run.merchant_id))
        book = await self._book.current()
        found = []
        for place in places:
            said = _publication(held, place)
            found.append(examined(said, book.find(said.family, said.type), table))
        return found

    async def _repeat(self, held: _Held) -> float:
        """Send again what is to go twice; end the run when nothing is left of that."""
        if await self._send_again(held):
            last = held.run.played[-1].at
            waited = self._control.clock.now() - last
            if waited < timedelta(seconds=REPEATS_WAIT_S):
                held.again_at_s = self._control.clock.monotonic_s() + LOOK_EVERY_S
                return LOOK_EVERY_S
        if held.run.id in self._held:
            await self._write(held, self._over(held.run, RunState.FINISHED, None))
        return 0.0

    async def _send_again(self, held: _Held) -> int:
        """Send again what ended well and is to go twice; return how many events are awaited."""
        now_s = self._control.clock.monotonic_s()
        if now_s < held.look_at_s:
            return held.awaited
        run = held.run
        waiting = [
            one for one in run.played if one.place in held.repeats and one.place not in run.repeated
        ]
        merchant = await self._control.store.merchant(run.merchant_id) if waiting else None
        held.awaited = 0 if merchant is None else len(waiting)
        before = held.awaited
        for played in waiting if merchant is not None else ():
            assert merchant is not None
            items = await self._ended_well(merchant, played)
            if items is None:
                continue
            held.awaited -= 1
            run = msgspec.structs.replace(
                held.run,
                repeated=(*held.run.repeated, played.place),
                sent_again=held.run.sent_again + len(items),
            )
            entry = self._entry(run, played) if items else None
            if not await self._write(held, run, items, entry):
                return 0
        slower_s = min(2 * held.look_again_s, _REPEATS_LOOK_S_MAX)
        held.look_again_s = LOOK_EVERY_S if held.awaited < before else slower_s
        held.look_at_s = now_s + held.look_again_s
        return held.awaited

    async def _ended_well(self, merchant: Merchant, played: Played) -> list[Requeue] | None:
        """Return the deliveries to send again; None while some are under way."""
        store = self._control.store
        window = Window(limit=_ENDPOINTS_MAX)
        deliveries = await store.deliveries_of(merchant.id, played.event_id, window)
        if any(delivery.state in _UNDONE for delivery in deliveries):
            return None
        stored = await store.event(merchant.id, played.event_id)
        if stored is None:
            return []
        items = []
        for delivery in deliveries:
            endpoint = await store.endpoint(merchant.id, delivery.endpoint_id)
            gone = endpoint is None or endpoint.status is EndpointStatus.DELETED
            if delivery.state is State.DELIVERED and endpoint is not None and not gone:
                items.append(requeue_of(self._control, merchant, endpoint, stored.event))
        return items

    async def _write(
        self,
        held: _Held,
        run: SandboxRun,
        items: list[Requeue] | None = None,
        audit: AuditEntry | None = None,
    ) -> bool:
        """Write how far the run is; False where it was stopped, or was written before."""
        run = msgspec.structs.replace(run, revision=held.run.revision + 1)
        if await self._control.store.write_run(run, items=items or (), audit=audit):
            held.run = run
            if run.state is not RunState.PLAYING:
                del self._held[run.id]
            return True
        await self._catch_up(held, run)
        return False

    async def _plays_on(self, held: _Held) -> bool:
        """Look whether nobody has stopped the run while it waited for its time."""
        stored = await self._control.store.run(held.run.merchant_id, held.run.id)
        if stored is None or stored.state is not RunState.PLAYING:
            del self._held[held.run.id]
            return False
        return True

    async def _catch_up(self, held: _Held, run: SandboxRun) -> None:
        """Go by what the store has: the run was stopped, or an answer to us was lost."""
        try:
            stored = await sandbox.find_again(self._control, run)
        except NotFoundError:
            del self._held[run.id]
            return
        if stored.state is RunState.PLAYING:
            held.run = stored
            return
        del self._held[run.id]
        if len(run.played) > len(stored.played):
            # What went out while somebody stopped the run is listed all the same.
            told = msgspec.structs.replace(stored, played=run.played, revision=stored.revision + 1)
            await self._control.store.write_run(told)

    def _over(self, run: SandboxRun, state: RunState, reason: str | None) -> SandboxRun:
        return msgspec.structs.replace(
            run,
            state=state,
            reason=reason,
            revision=run.revision + 1,
            finished_at=self._control.clock.now(),
        )

    def _entry(self, run: SandboxRun, played: Played) -> AuditEntry:
        return audit_entry(
            self._control,
            SYSTEM,
            merchant_id=run.merchant_id,
            action="event.resent",
            target=ids.to_text(ids.EVENT, played.event_id),
            changes={"sandbox_run": [None, ids.to_text(ids.RUN, run.id)]},
        )


def _held(run: SandboxRun, written: Script, *, until_s: float) -> _Held:
    count = len(written.publications)
    places = order(count, percent=run.disorder, seed=run.seed)
    speed = sandbox.speed_of(run.speed) if run.speed else None
    due_at: list[datetime] = []
    for place in places:
        at = run.created_at
        if speed is not None:
            at += timedelta(milliseconds=written.publications[place].at_ms / speed)
        # What was held back goes right behind the later one.
        due_at.append(max(at, due_at[-1]) if due_at else at)
    return _Held(
        run=run,
        until_s=until_s,
        script=written,
        order=places,
        due_at=due_at,
        repeats=repeated(count, percent=run.duplicate, seed=run.seed),
    )


def _publication(held: _Held, place: int) -> Publication:
    said = held.script.publications[place]
    return Publication(
        type=said.type,
        family=said.family,
        data=said.data,
        metadata=said.metadata,
        object_type=said.object_type,
        object_id=said.object_id,
        occurred_at=said.occurred_at,
        # No publisher can send this character in a key, so none comes before us with one of ours.
        idempotency_key=f"\x1f{ids.to_text(ids.RUN, held.run.id)}:{place}",
    )

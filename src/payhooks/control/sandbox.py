"""The sandbox: scenarios that are played for a merchant, as jobs that workers advance."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from typing import Final

import msgspec

from payhooks import ids, limits
from payhooks.catalogue import Catalogue
from payhooks.catalogue.registry import PAYHOOKS, TEST_TYPE
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.control.faults import Faults
from payhooks.errors import InvalidError, NotFoundError, WrongStateError
from payhooks.ids import RunId
from payhooks.model.event_type import EventType
from payhooks.model.merchant import CardNumbers, Merchant, Mode
from payhooks.model.sandbox_run import RunState, SandboxRun
from payhooks.policy import card_numbers
from payhooks.sandbox import script
from payhooks.sandbox.scenarios import Scenario, shipped
from payhooks.sandbox.script import Script, Wishes
from payhooks.sandbox.templates import span_ms

PLAYING_MAX: Final = 20  # per merchant
KEPT_MAX: Final = 1_000  # per merchant; of those that are over the oldest go
SEED_MAX: Final = (1 << 53) - 1  # what every JSON reader takes for a whole number
LASTS_S_MAX: Final = 86_400.0  # a run that nobody sees end helps nobody
MEMBERS_BYTES_MAX: Final = 8 * limits.KIB
_MEMBERS_MAX: Final = 50
_NAMES_DEEP_MAX: Final = 8  # what comes of it with its value is judged when it is written
_NEAREST: Final = 3
_WRITES_MAX: Final = 20  # against a player that writes at the same time
_SPEED: Final = re.compile(r"([0-9]{1,6}[smhd])=([0-9]{1,6}(?:ms|[smh]))")
_CERTAIN: Final = 100
# What is set is only passed on, so a number with a point stays as it is spelled: read as a double,
# 10.00 would be published as 10.0, and a large amount as another one.
read_spelled: Final = msgspec.json.Decoder(float_hook=msgspec.Raw).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDraft:
    """What a caller wants to be played."""

    scenario: str | None = None
    event: str | None = None
    family: str | None = None  # of the event
    set: Mapping[str, object] = field(default_factory=dict)  # as ``read_spelled`` reads it
    speed: str | None = None
    disorder: int = 0  # percent
    duplicate: int = 0  # percent
    seed: int | None = None


async def create(
    control: Control, caller: Caller, merchant: Merchant, book: Catalogue, draft: RunDraft
) -> SandboxRun:
    """Return a new run, which workers play from now on.

    Raises:
        InvalidError: Names what is wrong, and what is near a word that is not known; or there is
            card data in what is set, and the merchant has none stored.
        WrongStateError: The merchant is live, or plays as much as it may already.

    """
    demand_sandbox(merchant)
    _check(draft)
    _demand_no_card_data(draft, merchant)
    scenario = _wanted(draft, merchant, book)
    alone = draft.event is not None
    seed = draft.seed
    if seed is None:
        seed = int.from_bytes(control.random_bytes(4), "big")
    now = control.clock.now()
    auto_capture = merchant.sandbox_auto_capture
    told_ms = script.length_ms(scenario, auto_capture=auto_capture)
    lasts_s = told_ms / 1_000 / speed_of(draft.speed) if draft.speed else 0.0
    if lasts_s > LASTS_S_MAX:
        detail = f"So it would last {lasts_s / 3_600:.0f} hours, and a run lasts at most 24."
        raise InvalidError.at("/speed", "out_of_range", detail)
    begins_at = now + timedelta(seconds=lasts_s) - timedelta(milliseconds=told_ms)
    run = SandboxRun(
        id=RunId(control.ids.new()),
        merchant_id=merchant.id,
        name=scenario.name,
        family=scenario.family,
        alone=alone,
        seed=seed,
        values=() if alone else tuple((name, _text(value)) for name, value in draft.set.items()),
        members=msgspec.json.encode(draft.set if alone else {}).decode(),
        speed=draft.speed,
        disorder=draft.disorder,
        duplicate=draft.duplicate,
        auto_capture=auto_capture,
        fingerprint=b"",
        steps=0,
        left_out=0,
        # Stores keep microseconds and people read milliseconds.
        begins_at=begins_at.replace(microsecond=begins_at.microsecond // 1_000 * 1_000),
        created_at=now,
    )
    written = _write(run, scenario, book)
    run = msgspec.structs.replace(
        run,
        fingerprint=written.fingerprint,
        steps=len(written.publications),
        left_out=written.left_out,
    )
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant.id,
        action="sandbox_run.created",
        target=ids.to_text(ids.RUN, run.id),
        changes={"name": [None, run.name], "events": [None, run.steps]},
    )
    await control.store.start_run(run, audit=entry, playing_max=PLAYING_MAX, kept_max=KEPT_MAX)
    return run


async def find(control: Control, merchant: Merchant, text: str) -> SandboxRun:
    """Return the merchant's run with this printed id.

    Raises:
        NotFoundError: There is none, or it is another merchant's.

    """
    run_id = ids.from_text(ids.RUN, text)
    if run_id is not None:
        found = await control.store.run(merchant.id, RunId(run_id))
        if found is not None:
            return found
    raise NotFoundError("There is no such run.")


async def stop(control: Control, caller: Caller, run: SandboxRun) -> SandboxRun:
    """Return the run, stopped; what it has published stays. A repeat changes nothing.

    Raises:
        WrongStateError: It is over already.

    """
    for _ in range(_WRITES_MAX):
        if run.state is RunState.STOPPED:
            return run
        if run.state is not RunState.PLAYING:
            raise WrongStateError(f"This run is {run.state} already.")
        stopped = msgspec.structs.replace(
            run,
            state=RunState.STOPPED,
            revision=run.revision + 1,
            finished_at=control.clock.now(),
        )
        entry = audit_entry(
            control,
            caller,
            merchant_id=run.merchant_id,
            action="sandbox_run.stopped",
            target=ids.to_text(ids.RUN, run.id),
            changes={"state": [run.state, stopped.state]},
        )
        if await control.store.write_run(stopped, audit=entry):
            return stopped
        run = await find_again(control, run)
    raise WrongStateError("This run is being written all the time; stop it again.")


async def find_again(control: Control, run: SandboxRun) -> SandboxRun:
    """Return the run as it is by now.

    Raises:
        NotFoundError: It was forgotten.

    """
    found = await control.store.run(run.merchant_id, run.id)
    if found is None:
        raise NotFoundError("There is no such run.")
    return found


def script_of(run: SandboxRun, book: Catalogue) -> Script | None:
    """Return what the run publishes; None where this version tells another story."""
    try:
        scenario = _scenario_of(run, book)
        written = None if scenario is None else _write(run, scenario, book)
    except InvalidError:
        return None
    return written if written is not None and written.fingerprint == run.fingerprint else None


def demand_sandbox(merchant: Merchant) -> None:
    """Return if this is a sandbox merchant.

    Raises:
        WrongStateError: It is live.

    """
    if merchant.mode is not Mode.SANDBOX:
        raise WrongStateError("This merchant is live: its receivers would take a play for money.")


def speed_of(text: str) -> float:
    """Return how many seconds of life pass in one: ``1d=1s`` is 86,400.

    Raises:
        InvalidError: It is no speed, zero, or slower than life.

    """
    found = _SPEED.fullmatch(text)
    if found is None:
        detail = "Say how long a span of life takes, as in 1d=1s or 1h=500ms."
        raise InvalidError.at("/speed", "invalid", detail)
    told, real = span_ms(found[1]), span_ms(found[2])
    if not told or not real:
        detail = "Neither span is zero; without a speed nothing is waited for."
        raise InvalidError.at("/speed", "out_of_range", detail)
    if told < real:
        # The last event would be in the future when the first one is published.
        raise InvalidError.at("/speed", "out_of_range", "Nothing is played slower than life.")
    return told / real


def nearest(word: str, book: Catalogue) -> list[str]:
    """Return the scenarios and event types that are spelled most alike."""
    names = [*shipped().scenarios, *dict.fromkeys(type_.name for type_ in book.types)]
    return get_close_matches(word[: limits.EVENT_TYPE_CHARS_MAX], names, n=_NEAREST)


def _check(draft: RunDraft) -> None:
    faults = Faults()
    if (draft.scenario is None) == (draft.event is None):
        faults.add("/scenario", "required", "Name a scenario or an event, and not both.")
    if draft.family is not None and draft.event is None:
        faults.add("/family", "not_allowed", "A scenario has a family of its own.")
    for name, percent in (("disorder", draft.disorder), ("duplicate", draft.duplicate)):
        if not 0 <= percent <= _CERTAIN:
            faults.add(f"/{name}", "out_of_range", "This is between 0 and 100 percent.")
    if draft.seed is not None and not 0 <= draft.seed <= SEED_MAX:
        faults.add("/seed", "out_of_range", f"This is between 0 and {SEED_MAX}.")
    if len(draft.set) > _MEMBERS_MAX or len(msgspec.json.encode(draft.set)) > MEMBERS_BYTES_MAX:
        faults.add("/set", "too_long", f"At most {_MEMBERS_MAX} and {MEMBERS_BYTES_MAX} bytes.")
    if any(path.count(".") >= _NAMES_DEEP_MAX for path in draft.set):
        faults.add("/set", "too_deep", f"A member is at most {_NAMES_DEEP_MAX} names deep.")
    if draft.scenario is not None and any(
        isinstance(value, dict | list | bool) or value is None for value in draft.set.values()
    ):
        faults.add("/set", "wrong_type", "The value of a variable is text or a number.")
    faults.check()
    if draft.speed is not None:
        speed_of(draft.speed)


def _text(value: object) -> str:
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else str(value)


def _demand_no_card_data(draft: RunDraft, merchant: Merchant) -> None:
    # A run is kept with what was set, beside the events that will be masked or rejected.
    if merchant.card_numbers is CardNumbers.REPORT:
        return
    faults = Faults()
    said = msgspec.json.encode(draft.set)
    for place in card_numbers.found(said, "/set", at_most=limits.EVENT_FINDINGS_MAX):
        detail = "There is card data here, which this merchant has masked or rejected."
        faults.add(place.pointer, place.kind.value, detail)
    faults.check()


def _wanted(draft: RunDraft, merchant: Merchant, book: Catalogue) -> Scenario:
    if draft.scenario is not None:
        found = shipped().scenarios.get(draft.scenario)
        if found is None:
            raise _unknown("/scenario", draft.scenario, book)
        return found
    assert draft.event is not None
    if draft.family == PAYHOOKS or draft.event == TEST_TYPE:
        raise InvalidError.at("/event", "not_allowed", "Events of this family are ours to publish.")
    chosen = merchant.families if draft.family is None else (draft.family,)
    everywhere = chosen if draft.family is not None else ()
    # What the merchant's families do not know may be played all the same, by its own word.
    for families in (chosen, everywhere):
        family = book.family_of(draft.event, families)
        meant = book.meant(draft.event, families)
        type_ = meant if family is None else book.find(family, draft.event)
        if type_ is not None and type_.family != PAYHOOKS:
            return _alone(type_)
    raise _not_of(draft, book) or _unknown("/event", draft.event, book)


def _alone(type_: EventType) -> Scenario:
    return script.of_event(type_, shipped().variables.get((type_.family, type_.name), {}))


def _not_of(draft: RunDraft, book: Catalogue) -> InvalidError | None:
    """Return what is wrong where other families than the named one have the event."""
    if draft.event is None or draft.family is None:
        return None
    have = book.families_with(draft.event)
    if not have:
        return None
    detail = f"This family has no such event; these have: {', '.join(have)}."
    return InvalidError.at("/family", "unknown_name", detail)


def _unknown(pointer: str, word: str, book: Catalogue) -> InvalidError:
    near = nearest(word, book)
    hint = f" Did you mean {', '.join(near)}?" if near else " The scenarios can be listed."
    detail = f"There is no such scenario or event.{hint}"
    return InvalidError.at(pointer, "unknown_name", detail)


def _scenario_of(run: SandboxRun, book: Catalogue) -> Scenario | None:
    if not run.alone:
        return shipped().scenarios.get(run.name)
    type_ = book.find(run.family, run.name)
    return None if type_ is None else _alone(type_)


def _write(run: SandboxRun, scenario: Scenario, book: Catalogue) -> Script:
    wishes = Wishes(
        seed=run.seed,
        values=dict(run.values),
        members=read_spelled(run.members),
        auto_capture=run.auto_capture,
    )
    return script.write(scenario, book, wishes, begins_at=run.begins_at)

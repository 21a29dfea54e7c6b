"""Sandbox: the scenarios that there are, and the form that plays one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import QueryParams
from starlette.responses import Response

from payhooks import ids
from payhooks.catalogue import Catalogue
from payhooks.console.forms import NO_MESSAGES, Messages
from payhooks.console.listing import Filters
from payhooks.console.page import Factor, Visit, page
from payhooks.control import sandbox
from payhooks.control.sandbox import LASTS_S_MAX, SEED_MAX, RunDraft
from payhooks.errors import InvalidError, NotFoundError, WrongStateError
from payhooks.model.key import Scope
from payhooks.model.sandbox_run import SandboxRun
from payhooks.ports.controlling import Window
from payhooks.sandbox.scenarios import Scenario, shipped, sum_of
from payhooks.sandbox.script import VALUE_CHARS_MAX, length_ms
from payhooks.sandbox.templates import span_ms

LIST: Final = "/sandbox"
RUNS: Final = LIST + "/runs"
_RECENT_MAX: Final = 5
_AT_ONCE: Final = "Without waiting"
_SPEEDS: Final = (
    ("1d=1s", "A day takes a second"),
    ("1h=1s", "An hour takes a second"),
    ("1m=1s", "A minute takes a second"),
    ("1s=1s", "As slow as life"),
)
# Shorter than this, nobody sees that anything was waited for.
_SEEN_S: Final = 0.5
SHARES: Final = ("0", "30", "100")
_DISORDER: Final = tuple(zip(SHARES, ("In order", "Some late", "Mixed up"), strict=True))
_DUPLICATE: Final = tuple(zip(SHARES, ("Once", "Some twice", "All twice"), strict=True))
_FIELDS: Final = {f"/{name}": name for name in ("speed", "disorder", "duplicate", "seed", "set")}
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One field of the form."""

    name: str
    label: str
    default: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The scenarios of one family."""

    title: str
    open: bool
    scenarios: Sequence[Scenario]


@page("GET", LIST, needs=Scope.EVENTS_READ, factor=Factor.ONCE)
async def scenarios(visit: Visit) -> Response:
    """List the scenarios, or ask how the one that is named is to be played."""
    sandbox.demand_sandbox(visit.merchant)
    name = visit.query.get("scenario")
    if name is not None:
        scenario = shipped().scenarios.get(name)
        if scenario is None:
            raise NotFoundError("There is no such scenario.")
        filters = Filters(visit.query)
        return _ask(visit, scenario, filters, filters.messages)
    word = visit.query.get("q", "").strip()
    recent = await visit.control.store.runs(visit.merchant.id, Window(limit=_RECENT_MAX))
    return visit.show(
        "sandbox/list.html",
        title="Sandbox",
        word=word,
        families=list(_told(visit, await visit.parts.book.current(), word)),
        recent=recent,
        titles=titles_of(recent),
        messages=NO_MESSAGES,
    )


@page("POST", RUNS, needs=Scope.EVENTS_WRITE, factor=Factor.ONCE)
async def play(visit: Visit) -> Response:
    """Begin a run; its page tells how far it is."""
    scenario = shipped().scenarios.get(visit.form.text("scenario"))
    if scenario is None:
        return visit.go(LIST, said="Choose a scenario first.")
    filters = Filters(QueryParams(list(visit.form.carried)))
    try:
        return await begin(visit, _draft_of(scenario, filters))
    except InvalidError as error:
        named = {f"/set/{name}": f"set-{name}" for name in scenario.variables}
        return _ask(visit, scenario, filters, Messages.from_error(error, _FIELDS | named))
    except WrongStateError as error:
        return _ask(visit, scenario, filters, Messages({}, [str(error)]))


async def begin(visit: Visit, draft: RunDraft) -> Response:
    """Return the way to the page of a new run.

    Raises:
        InvalidError: It cannot be played so.
        WrongStateError: Nothing may be played, or no more at once.

    """
    book = await visit.parts.book.current()
    run = await sandbox.create(visit.control, visit.caller, visit.merchant, book, draft)
    return visit.go(f"{RUNS}/{ids.to_text(ids.RUN, run.id)}")


def titles_of(runs: Sequence[SandboxRun]) -> dict[str, str]:
    """Return what to call each run's scenario; an event is called by its name."""
    known = shipped().scenarios
    return {
        run.name: known[run.name].title if not run.alone and run.name in known else run.name
        for run in runs
    }


def speed_words(speed: str | None) -> str:
    """Return a speed as the form says it; one that a program chose as it did."""
    return _AT_ONCE if speed is None else dict(_SPEEDS).get(speed, speed)


def lasting(amount_ms: float) -> str:
    """Return a span of time as people read it."""
    size, unit = next((one for one in _UNITS if amount_ms >= one[0]), _UNITS[-1])
    return f"{amount_ms / size:.1f}".removesuffix(".0") + f" {unit}"


def _told(visit: Visit, book: Catalogue, word: str) -> Iterator[Told]:
    """Yield the families whose scenarios have all the words in them, the merchant's own first."""
    own = visit.merchant.families
    by_family: dict[str, list[Scenario]] = {}
    for scenario in shipped().scenarios.values():
        said = _words_of(scenario)
        if all(one in said for one in word.lower().split()):
            by_family.setdefault(scenario.family, []).append(scenario)
    for family in sorted(by_family, key=lambda name: (name not in own, name)):
        yield Told(
            title=book.families[family].title if family in book.families else family,
            open=not own or family in own or bool(word),
            scenarios=by_family[family],
        )


def _words_of(scenario: Scenario) -> str:
    said = (scenario.name, scenario.title, scenario.words)
    return "\n".join((*said, *(step.event for step in scenario.steps))).lower()


def _ask(visit: Visit, scenario: Scenario, filters: Filters, messages: Messages) -> Response:
    auto_capture = visit.merchant.sandbox_auto_capture
    steps = [step for step in scenario.steps if auto_capture or step.condition is None]
    told_ms = length_ms(scenario, auto_capture=auto_capture) if steps else 0
    variables = list(_variables(scenario))
    return visit.show(
        "sandbox/one.html",
        status=422 if messages else 200,
        title=scenario.title,
        scenario=scenario,
        family=scenario.family,
        messages=messages,
        variables=variables,
        entered={one.name: filters.text(f"set-{one.name}") or one.default for one in variables},
        seed=filters.text("seed"),
        chosen={name: filters.text(name) for name in ("speed", "disorder", "duplicate")},
        speeds=_speeds(told_ms),
        disorders=_DISORDER,
        duplicates=_DUPLICATE,
        afters=[lasting(span_ms(step.after)) for step in scenario.steps],
        told=lasting(told_ms),
        auto_capture=auto_capture,
        steps=len(steps),
        value_chars_max=VALUE_CHARS_MAX,
        seed_max=SEED_MAX,
        may_play=visit.may(Scope.EVENTS_WRITE),
    )


def _variables(scenario: Scenario) -> Iterator[Variable]:
    for name, text in scenario.variables.items():
        if sum_of(text) is None:  # a sum follows from the others
            yield Variable(name=name, label=name.replace("_", " ").capitalize(), default=text)


def _speeds(told_ms: int) -> list[tuple[str, str]]:
    """Return the speeds that make a difference, and what may not last for days."""
    options = [("", _AT_ONCE)]
    for speed, words in _SPEEDS:
        lasts_s = told_ms / 1_000 / sandbox.speed_of(speed)
        if _SEEN_S <= lasts_s <= LASTS_S_MAX:
            options.append((speed, f"{words} ({lasting(lasts_s * 1_000)})"))
    return options


def _draft_of(scenario: Scenario, filters: Filters) -> RunDraft:
    """Return what the fields ask for.

    Raises:
        InvalidError: Some of them cannot be read.

    """
    given = {name: filters.text(f"set-{name}") for name in scenario.variables}
    seed = filters.text("seed")
    if seed and not (seed.isascii() and seed.isdecimal()):
        filters.wrong["seed"] = ["This is a whole number."]
    disorder, duplicate = (
        int(filters.choice(name, SHARES) or "0") for name in ("disorder", "duplicate")
    )
    filters.check()
    return RunDraft(
        scenario=scenario.name,
        # What is left as it is, or empty, follows the scenario.
        set={
            name: text for name, text in given.items() if text and text != scenario.variables[name]
        },
        speed=filters.text("speed") or None,
        disorder=disorder,
        duplicate=duplicate,
        seed=int(seed) if seed else None,
    )

"""Scenarios played through a served process, to one endpoint of each dialect.

What is listed is read from the scenarios' files, not asked of the product; what arrived is verified
and read by code that imports nothing of it. So a scenario that is played otherwise than it is
written, or written otherwise than it was played, is a complaint.
"""

import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote

from tests.support.captured import Capture, Captured, capturing
from tests.support.dialect_events import CUSTOM_DIALECT
from tests.support.dialect_table import WRONG_SECRET, is_signed_by
from tests.support.foreign import FOREIGN
from tests.support.receiving import until
from tests.support.server import ROOT, Api, Json, Server, Tenant
from tests.support.wire_reading import Told, can_carry, own_id, told

_SOURCES: Final = ROOT / "src" / "payhooks"
_FAMILIES: Final = _SOURCES / "catalogue" / "families"
_SCENARIOS: Final = _SOURCES / "sandbox" / "scenarios"
_OF_AN_OUTCOME: Final = ("family", "unified", "final", "corrections", "pay_back", "events")
_ENDED: Final = frozenset({"delivered", "failed", "cancelled"})
_PLAYED_S_MAX: Final = 120.0

Name = tuple[str, str]  # family and type
ObjectId = tuple[str, str]  # kind and id


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario as its file has it."""

    name: str
    family: str
    events: tuple[tuple[str, str], ...]  # each with what the scenario calls its object
    words: tuple[str, ...] = field(repr=False)
    after: tuple[str, ...] = field(repr=False)
    seed: int  # no two have the same, or two objects of one name would be one object


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One scenario played, and what arrived of it."""

    scenario: Scenario
    shuffled: bool  # asked for so: it may be published in another order than it happens in
    run: Json
    events: list[Json]  # as the API has them, in the order of the story
    refused: dict[str, int]  # by dialect: deliveries that it said it could not carry
    failed: list[str]  # in words: deliveries that ended otherwise than well, for another reason
    arrived: dict[str, list[Captured]]  # by dialect, in the order of arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a receiver of one dialect makes of a performance."""

    complaints: tuple[str, ...]
    messages: int
    duplicates: int
    refused: int
    without_type: int
    read: frozenset[str]  # what of every message was held against the event that was listed
    names: frozenset[Name]  # types that stood on the wire


def scenarios() -> list[Scenario]:
    """Return every scenario that there is a file of."""
    families = {path.name for path in _FAMILIES.iterdir() if path.is_dir()}
    found: list[Scenario] = []
    for path in sorted(_SCENARIOS.glob("*.toml")):
        family = max((one for one in families if f"{path.stem}-".startswith(f"{one}-")), key=len)
        for one in tomllib.loads(path.read_text(encoding="utf-8"))["scenarios"]:
            steps: list[dict[str, Any]] = one["steps"]
            found.append(
                Scenario(
                    name=one["name"],
                    family=family,
                    # Auto capture is on where nobody turned it off, so no step is left out.
                    events=tuple((step["event"], step["object"]) for step in steps),
                    words=tuple(step.get("words", "") for step in steps),
                    after=tuple(step.get("after", "1s") for step in steps),
                    seed=1_000 + len(found),
                )
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an object."""

    state: str
    said: Json  # what else is the same in whatever order it was heard
    late: int = field(compare=False)  # events that were heard when it was further already


class Stage:
    """A merchant of a running server, with one endpoint of each dialect."""

    def __init__(self, server: Server, capture: Capture, dialects: Sequence[str]) -> None:
        self.api = Api(server.port)
        self.tenant = Tenant(self.api, "Stage", custom_dialect=CUSTOM_DIALECT)
        self.secrets: dict[str, str] = {}
        self._capture = capture
        self._dialects: dict[str, str] = {}  # by id of the endpoint
        for dialect in dialects:
            path = f"/{self.tenant.id}/{dialect}"
            made = self.tenant.endpoint(
                capture.url(path),
                events=["*"],
                dialect=dialect,
                signature={"type": "endpoint_secret"},
                ordering="strict",
            )
            self._dialects[made] = dialect
            self.secrets[dialect] = self.tenant.secrets[path]
        # Each endpoint that is made is an event of ours, of which those that are there hear.
        made_known = until(
            lambda: list(self.api.pages(f"{self.tenant.path}/events")),
            lambda found: len(found) == len(dialects),
        )
        for event in made_known:
            self._deliveries(event)

    def play(self, scenario: Scenario, **wishes: object) -> Performance:
        """Return what became of the scenario, when nothing of it is under way any more."""
        before = len(self._capture.until(0))
        path = f"{self.tenant.path}/sandbox/runs"
        begun = self.api.post(path, {"scenario": scenario.name, "seed": scenario.seed, **wishes})
        run = until(
            lambda: self.api.get(f"{path}/{begun['id']}"),
            lambda found: found["state"] != "playing",
            s=_PLAYED_S_MAX,
        )
        events = [self.api.get(f"{self.tenant.path}/events/{e['id']}") for e in run["events"]]
        refused: Counter[str] = Counter()
        failed = []
        for event in events:
            for each in self._deliveries(event):
                dialect = self._dialects[each["endpoint_id"]]
                if each["reason"] == "not_carried":
                    refused[dialect] += 1
                elif each["status"] != "delivered":
                    failed.append(f"{event['type']} to {dialect}: {each['reason']}")
        arrived: dict[str, list[Captured]] = {dialect: [] for dialect in self.secrets}
        for request in self._capture.until(0)[before:]:
            arrived[request.path.rpartition("/")[2]].append(request)
        return Performance(
            scenario=scenario,
            shuffled="disorder" in wishes,
            run=run,
            events=events,
            refused=dict(refused),
            failed=failed,
            arrived=arrived,
        )

    def objects(self, performance: Performance) -> dict[ObjectId, Outcome]:
        """Return how each object of the scenario stands, as the API says now."""
        found: dict[ObjectId, Outcome] = {}
        for event in performance.run["events"]:
            kind, number = event["object"]["type"], event["object"]["id"]
            if (kind, number) not in found:
                path = f"{self.tenant.path}/objects/{quote(kind)}/{quote(number)}"
                found[kind, number] = _outcome(self.api.get(path))
        return found

    def _deliveries(self, event: Json) -> list[Json]:
        path = f"{self.tenant.path}/events/{event['id']}/deliveries?limit=100"
        found: list[Json] = until(
            lambda: self.api.get(path)["data"],
            lambda each: all(one["status"] in _ENDED for one in each),
            s=_PLAYED_S_MAX,
        )
        return found


def _outcome(said: Json) -> Outcome:
    history = said["history"]
    return Outcome(
        state=said["state"],
        said={
            **{member: said[member] for member in _OF_AN_OUTCOME},
            "moves": [(one["type"], one["before"], one["after"]) for one in history],
        },
        late=sum("superseded" in one["marks"] for one in history),
    )


def told_otherwise(performance: Performance) -> list[str]:
    """Return where the run's own record is not the scenario that its file has."""
    scenario, run = performance.scenario, performance.run
    complaints = list(performance.failed)
    if run["state"] != "finished":
        complaints.append(f"it is {run['state']}: {run['reason']}")
    said = [event["type"] for event in run["events"]]
    if said != [event for event, _ in scenario.events]:
        complaints.append(f"it lists {said}")
    stored = [(event["family"], event["type"], event["object"]) for event in performance.events]
    listed = [(scenario.family, event["type"], event["object"]) for event in run["events"]]
    if stored != listed:
        complaints.append("its events are other ones than it lists")
    # What the scenario calls one object has one id, and what it calls two has two.
    named = {
        (name, (event["object"]["type"], event["object"]["id"]))
        for (_, name), event in zip(scenario.events, run["events"], strict=False)
    }
    if len({id_ for _, (_, id_) in named}) != len({name for name, _ in named}):
        complaints.append("objects and their ids do not go one to one")
    times = [event["occurred_at"] for event in performance.events]
    if any(before >= after for before, after in pairwise(times)):
        complaints.append("two events happened at once, or backwards")
    return complaints


def heard(performance: Performance, dialect: str, secret: str) -> Heard:
    """Return what a receiver of *dialect* finds, with every complaint that it has."""
    family = performance.scenario.family
    complaints = list(_unverified(dialect, secret, performance.arrived[dialect]))
    read = [told(dialect, request) for request in performance.arrived[dialect]]
    firsts = {one.message: one for one in reversed(read)}
    order = list(dict.fromkeys(one.message for one in read))
    published = performance.events
    if performance.shuffled:
        # Ids are made as events are taken, and the endpoint is promised that order.
        published = sorted(published, key=lambda event: str(event["id"]))
    expected = [event for event in published if can_carry(dialect, event["data"])]
    refused = len(published) - len(expected)
    if performance.refused.get(dialect, 0) != refused:
        said = performance.refused.get(dialect, 0)
        complaints.append(f"{said} deliveries are marked as not carried, and {refused} are not")
    if len(order) != len(expected):
        complaints.append(f"{len(order)} messages came, {len(expected)} were to come")
    for number, (message, event) in enumerate(zip(order, expected, strict=False), 1):
        complaints += [f"{number}: {words}" for words in _wrong(firsts[message], event, family)]
    for one in read:
        if one != firsts[one.message]:
            complaints.append("the same message says something else when it comes again")
    return Heard(
        complaints=tuple(complaints),
        messages=len(order),
        duplicates=len(read) - len(order),
        refused=refused,
        without_type=sum(firsts[message].type is None for message in order),
        read=frozenset.intersection(*map(_read_of, read)) if read else frozenset(),
        names=frozenset((family, one.type) for one in read if one.type is not None),
    )


def _read_of(one: Told) -> frozenset[str]:
    # Where the dialect prints no id, the provider's object has its own inside the data.
    printed = {"type": one.type, "kind": one.object_type, "id": one.object_id}
    named = {words for words, value in printed.items() if value is not None}
    return frozenset({"data", *named} if "id" in named else {"data", "id in data", *named})


def _unverified(dialect: str, secret: str, requests: Iterable[Captured]) -> Iterator[str]:
    foreign = FOREIGN.get(dialect)
    for number, request in enumerate(requests, 1):
        if not is_signed_by(dialect, secret, request):
            yield f"{number}: foreign code does not verify it"
        if is_signed_by(dialect, WRONG_SECRET, request):
            yield f"{number}: any secret verifies it"
        if foreign is not None and not foreign(secret, request.named, request.body):
            yield f"{number}: the provider's own code does not verify it"


def _wrong(one: Told, event: Json, family: str) -> Iterator[str]:
    """Yield what the wire says otherwise than the event that was published."""
    about: Json = event["object"]
    # None where the dialect prints none: then the data has to do, which always names its object.
    if one.type not in {event["type"], None}:
        yield f"it says {one.type}, and {event['type']} is listed"
    if one.object_type not in {about["type"], None} or one.object_id not in {about["id"], None}:
        yield f"it is about another object than {about}"
    if own_id(family, one.data) != about["id"]:
        yield f"its data is of another object than {about}"
    if one.data != event["data"]:
        yield "its data is not what was published"


def opened(stack: ExitStack, server: Server) -> Callable[[Sequence[str]], Stage]:
    """Return what makes stages on a started server, with a receiver until *stack* ends."""
    capture = stack.enter_context(capturing())
    return lambda dialects: Stage(server, capture, dialects)

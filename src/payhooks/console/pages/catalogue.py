"""Event types: everything that can happen, as a tree, and all that is known of one of them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from markupsafe import Markup
from starlette.responses import Response

from payhooks import ids
from payhooks.catalogue import Catalogue
from payhooks.catalogue.flow_chart import FlowChart
from payhooks.catalogue.life_cycle import LifeCycle, ObjectKind, Transition, Unified
from payhooks.catalogue.members import members_of
from payhooks.catalogue.pictures import condition_words, flow_chart_svg, life_cycle_svg
from payhooks.catalogue.registry import PAYHOOKS
from payhooks.console.evidence import pretty
from payhooks.console.page import Factor, Visit, page
from payhooks.console.pages.webhooks_one import send_test
from payhooks.control import endpoints, event_types
from payhooks.errors import NotFoundError
from payhooks.limits import PAGE_SIZE_MAX
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event_type import PROVENANCE_SENTENCES, EventType, Provenance
from payhooks.model.key import Scope
from payhooks.model.merchant import Mode

_LIST: Final = "/event-types"
_FAMILY: Final = _LIST + "/{family}"
_ONE: Final = _FAMILY + "/{type_name}"
_SUBSCRIBED_MAX: Final = 20
# More than a screen of them are read by who opens them; the example is there already.
_MEMBERS_OPEN_MAX: Final = 25
_MARKS: Final = {
    Provenance.SAMPLE: "sample",
    Provenance.REFERENCE: "reference",
    Provenance.DESIGNED: "designed by us",
    Provenance.OPERATOR: "added here",
}
_OURS: Final = ("our own", "Our own: only Payhooks sends it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Twig:
    """The types of one kind of object."""

    title: str
    words: str
    types: Sequence[EventType]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The types of one family."""

    family: str
    title: str
    open: bool
    twigs: Sequence[Twig]

    @property
    def types(self) -> int:
        """How many there are."""
        return sum(len(twig.types) for twig in self.twigs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What the event does to its object, in one of its rows."""

    row: Transition
    when: str
    means: Unified | None


@page("GET", _LIST, needs=Scope.EVENTS_READ, factor=Factor.ONCE)
async def types(visit: Visit) -> Response:
    """Show the tree, or what of it has the word that is looked for."""
    word = visit.query.get("q", "").strip()
    book = await visit.parts.book.current()
    found = event_types.select(book, family=None, text=word)
    families = _ordered({type_.family for type_ in found}, visit.merchant.families)
    return visit.show(
        "catalogue/tree.html",
        title="Event types",
        word=word,
        branches=[
            # Every one of them open is a page that nobody reads to its end.
            _branch(book, name, found, open_=name == families[0] or bool(word))
            for name in families
        ],
        provenance=provenance,
    )


@page("GET", _FAMILY, needs=Scope.EVENTS_READ, factor=Factor.ONCE)
async def family(visit: Visit) -> Response:
    """Show one vocabulary: whose it is, what its documents leave open, how its objects connect."""
    name = visit.parameter["family"]
    book = await visit.parts.book.current()
    found = event_types.select(book, family=name, text=None)
    if not found:
        raise NotFoundError("There is no such family.")
    known = book.families.get(name)
    return visit.show(
        "catalogue/family.html",
        title=_title_of(book, name),
        family=known,
        chart=None if known is None or known.flow_chart is None else _chart(known.flow_chart),
        branch=_branch(book, name, found, open_=True),
        provenance=provenance,
    )


@page("GET", _ONE, needs=Scope.EVENTS_READ, factor=Factor.ONCE)
async def one(visit: Visit) -> Response:
    """Show all that is known of a type, and who of the merchant's hears of it."""
    book = await visit.parts.book.current()
    type_ = _found(book, visit)
    kind = book.kind_of(type_)
    table = await visit.parts.directory.reload(visit.merchant.id)
    subscribed = table.subscribed(type_.name)
    schema = None if type_.schema is None else msgspec.json.decode(type_.schema)
    return visit.show(
        "catalogue/one.html",
        title=type_.name,
        type_=type_,
        kind=kind,
        family=_title_of(book, type_.family),
        provenance=provenance,
        from_document=type_.family != PAYHOOKS and type_.provenance is not Provenance.OPERATOR,
        moves=[] if kind is None else list(_moves(kind, type_.name)),
        states=[] if kind is None else list(_states(kind)),
        picture=None if kind is None or not kind.life_cycle.states else _life(kind),
        members=[] if schema is None else members_of(schema),
        members_open_max=_MEMBERS_OPEN_MAX,
        schema="" if type_.schema is None else pretty(type_.schema),
        example="" if type_.example is None else pretty(type_.example),
        subscribed=subscribed[:_SUBSCRIBED_MAX],
        subscribed_count=len(subscribed),
        webhooks=_receivers(table.endpoints, subscribed),
        chosen=ids.to_text(ids.ENDPOINT, subscribed[0].id) if subscribed else "",
        sendable=type_.example is not None and type_.family != PAYHOOKS,
        sandbox=visit.merchant.mode is Mode.SANDBOX,
        may_add=visit.may(Scope.ENDPOINTS_WRITE),
    )


@page("POST", _ONE + "/send", needs=Scope.ENDPOINTS_WRITE, factor=Factor.GATE)
async def send(visit: Visit) -> Response:
    """Send the type's example to the webhook that was chosen, and show what comes of it."""
    type_ = _found(await visit.parts.book.current(), visit)
    chosen = visit.form.text("webhook")
    if not chosen:
        place = f"{_LIST}/{type_.family}/{type_.name}"
        return visit.go(place, said="Choose the webhook to send it to first.")
    endpoint = await endpoints.find(visit.control, visit.merchant, chosen)
    return await send_test(visit, endpoint, example=type_)


def provenance(type_: EventType) -> tuple[str, str]:
    """Return a mark for where the type's description comes from, and what the mark means."""
    if type_.family == PAYHOOKS:
        return _OURS
    return _MARKS[type_.provenance], PROVENANCE_SENTENCES[type_.provenance]


def _found(book: Catalogue, visit: Visit) -> EventType:
    found = book.find(visit.parameter["family"], visit.parameter["type_name"])
    if found is None:
        raise NotFoundError("There is no such event type.")
    return found


def _ordered(families: Collection[str], own: Sequence[str]) -> list[str]:
    """Return the merchant's families as it names them, then the others, then ours."""
    mine = [name for name in own if name in families]
    return mine + sorted(set(families) - set(mine), key=lambda name: (name == PAYHOOKS, name))


def _title_of(book: Catalogue, name: str) -> str:
    return book.families[name].title if name in book.families else name


def _branch(book: Catalogue, family: str, found: Sequence[EventType], *, open_: bool) -> Branch:
    """Return a family's part of what was found, in the order of its files."""
    by_kind: dict[str, list[EventType]] = {}
    for type_ in found:
        if type_.family == family:
            by_kind.setdefault(type_.kind, []).append(type_)
    return Branch(
        family=family,
        title=_title_of(book, family),
        open=open_,
        twigs=[_twig(book.kinds.get((family, name)), of_it) for name, of_it in by_kind.items()],
    )


def _twig(kind: ObjectKind | None, found: Sequence[EventType]) -> Twig:
    if kind is None:
        return Twig(title="", words="", types=found)
    places = {entry.name: place for place, entry in enumerate(kind.types)}
    return Twig(
        title=kind.title,
        words=kind.words,
        types=sorted(found, key=lambda type_: places[type_.name]),
    )


def _moves(kind: ObjectKind, event: str) -> Iterator[Move]:
    for row in kind.life_cycle.transitions:
        if row.event == event:
            means = None if row.to is None else kind.means(row.to, event)
            yield Move(row=row, when=condition_words(row.when), means=means)


def _states(kind: ObjectKind) -> Iterator[tuple[str, str, bool, Sequence[Unified]]]:
    """Yield each state: its name, its words, whether it is final, what it means elsewhere."""
    cycle: LifeCycle = kind.life_cycle
    for name, words in cycle.states.items():
        yield name, words, name in cycle.final, [row for row in kind.unified if row.state == name]


def _receivers(known: Sequence[Endpoint], subscribed: Sequence[Endpoint]) -> list[tuple[str, str]]:
    """Return webhooks to choose from, those that hear of it first."""
    hearing = {endpoint.id for endpoint in subscribed}
    heard = [one for one in known if one.status is not EndpointStatus.DISABLED]
    heard.sort(key=lambda one: (one.id not in hearing, one.label.lower()))
    return [(ids.to_text(ids.ENDPOINT, one.id), one.label) for one in heard[:PAGE_SIZE_MAX]]


def _life(kind: ObjectKind) -> Markup:
    return Markup(life_cycle_svg(kind, inline=True))  # noqa: S704 - escaped there # nosec B704


def _chart(chart: FlowChart) -> Markup:
    return Markup(flow_chart_svg(chart, inline=True))  # noqa: S704 - escaped there # nosec B704

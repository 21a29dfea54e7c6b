"""Lists: what the URL asks of one, which part of it is shown, and what its rows need by id.

Filters and the place in the list are in the URL, so that a list can be kept and sent on. What
cannot be read there is said beside its field, and nothing is listed: a filter that were dropped
silently would show more than was asked for.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from payhooks import ids
from payhooks.console.forms import Messages
from payhooks.console.page import ROOT, Visit
from payhooks.errors import Fault, InvalidError
from payhooks.ids import EndpointId
from payhooks.limits import PAGE_SIZE_MAX
from payhooks.model.attempt import Reason
from payhooks.model.endpoint import Endpoint
from payhooks.policy.match import is_valid_pattern
from payhooks.ports.controlling import Window

ROWS_MAX: Final = 50
_AFTER: Final = "after"

Item = TypeVar("Item")


class Filters:
    """What the URL asks of a list; ``wrong`` collects what of it cannot be read."""

    def __init__(self, query: QueryParams) -> None:
        self._query = query
        self.wrong: dict[str, list[str]] = {}

    def text(self, name: str) -> str:
        """Return a filter as it was typed; empty where there is none."""
        return self._query.get(name, "").strip()

    def any_of(self, names: Iterable[str]) -> bool:
        """Whether one of these filters is set."""
        return any(self.text(name) for name in names)

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """Return one of *choices*."""
        text = self.text(name)
        if text and text not in choices:
            self._refuse(name, "Choose one of the list.")
        return text if text in choices else None

    def every(self, name: str, choices: Collection[str]) -> tuple[str, ...]:
        """Return all of *choices* that are ticked, each once."""
        given = tuple(dict.fromkeys(self._query.getlist(name)))
        if not set(given) <= set(choices):
            self._refuse(name, "Choose from the list.")
        return tuple(text for text in given if text in choices)

    def number(self, name: str, default: float) -> float:
        """Return a number."""
        text = self.text(name)
        try:
            return float(text) if text else default
        except ValueError:
            self._refuse(name, "Write a number.")
            return default

    def patterns(self, name: str) -> tuple[str, ...]:
        """Return the one pattern of event types, or none."""
        text = self.text(name)
        if text and not is_valid_pattern(text):
            self._refuse(name, "Use a type, a.b.*, prefix* or *.")
            return ()
        return (text,) if text else ()

    def id(self, name: str, prefix: str) -> bytes | None:
        """Return the id that is spelled there."""
        text = self.text(name)
        found = ids.from_text(prefix, text) if text else None
        if text and found is None:
            self._refuse(name, "Choose one of the list.")
        return found

    def time(self, name: str) -> datetime | None:
        """Return a time; UTC where it does not say."""
        text = self.text(name)
        if not text:
            return None
        try:
            at = datetime.fromisoformat(text)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            self._refuse(name, "Write a date and a time, as 2026-11-20T18:00.")
            return None

    def typed_time(self, name: str) -> str:
        """Return a time as its field can hold it; empty where it cannot be read."""
        at = self.time(name)
        return "" if at is None else at.replace(tzinfo=None).isoformat(timespec="minutes")

    def span(self) -> tuple[datetime | None, datetime | None]:
        """Return the times ``from`` and ``to``."""
        gte, lt = self.time("from"), self.time("to")
        if gte is not None and lt is not None and gte >= lt:
            self._refuse("to", "The span ends before it begins.")
        return gte, lt

    @property
    def messages(self) -> Messages:
        """What is to be said beside the fields."""
        return Messages(self.wrong)

    def check(self) -> None:
        """Return if all of it could be read.

        Raises:
            InvalidError: At ``/`` and the name of each field that could not.

        """
        faults = [
            Fault(pointer=f"/{name}", code="malformed", detail=words)
            for name, found in self.wrong.items()
            for words in found
        ]
        if faults:
            raise InvalidError(faults)

    def _refuse(self, name: str, words: str) -> None:
        self.wrong[name] = [words]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Generic[Item]):
    """One page of a list, with the addresses of the pages around it."""

    items: Sequence[Item] = ()
    next: str | None = None
    first: str | None = None  # None on the first page


def window_of(visit: Visit, prefix: str) -> Window:
    """Return the part of the list that the URL asks for, one longer than is shown.

    Raises:
        InvalidError: The URL names no place in a list of such ids.

    """
    text = visit.query.get(_AFTER, "")
    after = ids.from_text(prefix, text)
    if text and after is None:
        raise InvalidError.at("?after", "invalid_cursor", "This is not a place in this list.")
    return Window(limit=ROWS_MAX + 1, after=after)


def listed(
    visit: Visit, prefix: str, found: Sequence[Item], *, id_of: Callable[[Item], bytes]
) -> Listed[Item]:
    """Return what is shown of what was found, and how to go on."""
    shown = found[:ROWS_MAX]
    following = None
    if len(found) > ROWS_MAX:
        following = address(visit, {_AFTER: ids.to_text(prefix, id_of(shown[-1]))})
    first = address(visit, {_AFTER: None}) if visit.query.get(_AFTER) else None
    return Listed(items=shown, next=following, first=first)


def part_of(
    visit: Visit, prefix: str, whole: Sequence[Item], *, id_of: Callable[[Item], bytes]
) -> Listed[Item]:
    """Return the part that the URL asks for of a list that was read as a whole, in any order."""
    window = window_of(visit, prefix)
    places = [place for place, item in enumerate(whole, 1) if id_of(item) == window.after]
    # Who is there no more leaves the reader at the beginning.
    start = places[0] if places else 0
    return listed(visit, prefix, whole[start : start + window.limit], id_of=id_of)


async def labelled(visit: Visit, endpoint_ids: Iterable[EndpointId]) -> dict[EndpointId, Endpoint]:
    """Return the merchant's webhooks by id: those to choose from, and all that are asked for.

    A deleted one too where it is asked for, and one beyond the first PAGE_SIZE_MAX.
    """
    store, merchant_id = visit.control.store, visit.merchant.id
    known = {one.id: one for one in await store.endpoints(merchant_id, Window(limit=PAGE_SIZE_MAX))}
    for endpoint_id in set(endpoint_ids) - known.keys():
        found = await store.endpoint(merchant_id, endpoint_id)
        if found is not None:
            known[endpoint_id] = found
    return known


def webhook_options(endpoints: Mapping[EndpointId, Endpoint]) -> list[tuple[str, str]]:
    """Return webhooks to choose from, by label."""
    found = sorted(endpoints.values(), key=lambda endpoint: endpoint.label.lower())
    return [(ids.to_text(ids.ENDPOINT, endpoint.id), endpoint.label) for endpoint in found]


def searched(text: str) -> str:
    """Return where what somebody looks for is, by its id; else the events of that object."""
    places = ((ids.EVENT, "events"), (ids.DELIVERY, "deliveries"), (ids.RECEIPT, "receipts"))
    for prefix, place in places:
        if ids.from_text(prefix, text) is not None:
            return f"/{place}/{text}"
    return f"/events?{urlencode({'object': text})}"


def recovery(
    *, since: datetime, endpoint_id: EndpointId | None = None, reason: Reason | None = None
) -> str:
    """Return where what failed since can be sent again, of one webhook or for one reason alone."""
    asked = {"include": "failed", "from": f"{since:%Y-%m-%dT%H:%M}", "count": "1"}
    if endpoint_id is not None:
        asked["webhook"] = ids.to_text(ids.ENDPOINT, endpoint_id)
    if reason is not None:
        asked["reason"] = reason
    return f"{ROOT}/replays/new?{urlencode(asked)}"


def address(visit: Visit, changed: Mapping[str, str | None]) -> str:
    """Return the address of this page with some of its query changed; None takes one out."""
    kept = {**visit.query, **changed}
    query = urlencode({key: value for key, value in kept.items() if value})
    return f"{visit.path}?{query}" if query else visit.path

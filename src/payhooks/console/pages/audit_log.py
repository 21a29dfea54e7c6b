"""The audit log: who changed what, and whether its chain holds."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from payhooks import ids
from payhooks.console.forms import NO_MESSAGES, Messages
from payhooks.console.listing import Filters
from payhooks.console.page import Factor, Visit, page
from payhooks.console.tokens import Use
from payhooks.control import audit, keys
from payhooks.control.audit import ChainReport
from payhooks.errors import InvalidError, NotFoundError
from payhooks.ids import UserId
from payhooks.model.audit import BEGINNING, AuditEntry, ChainedAuditEntry, Mark
from payhooks.model.key import Scope

_PATH: Final = "/settings/audit-log"
# With every member of every change a row has 1.5 KB, and a page at most 100.
_ROWS_MAX: Final = 40
# A filter is looked for in so many entries at a time, so that a page costs the same however
# long the log is; what lies further back is a link away.
_LOOKED_MAX: Final = 2_000
_SLICE: Final = 200
_NUMBER_DIGITS_MAX: Final = 15
# Computed anew in one request: 15 ms for so many, as a list takes. A link goes on.
_CHECKED_AT_ONCE: Final = 5_000
_MARK: Final = re.compile(r"([1-9][0-9]{0,14}) ([0-9a-f]{64})")
_FILTERS: Final = ("action", "actor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry as it is read: who by name, and each member with what it was and is."""

    number: int
    entry: AuditEntry
    hash: str
    who: str
    changes: Sequence[tuple[str, str, str]]


@page("GET", _PATH, needs=Scope.AUDIT_READ, factor=Factor.GATE)
async def log(visit: Visit) -> Response:
    """Show entries, newest first."""
    filters = Filters(visit.query)
    action, actor = (filters.text(name).lower() for name in _FILTERS)
    names = _Names(visit)
    found, further = await _look(visit, names, action=action, actor=actor)
    lines = [await _line(chained, names) for chained in found]
    return visit.show(
        "audit_log.html",
        title="Audit log",
        lines=lines,
        filters=filters,
        filtered=bool(action or actor),
        looked_whole=further is None,
        next=None if further is None else _address(visit, further),
        first=_address(visit, None) if visit.query.get("before") else None,
    )


@page("GET", _PATH + "/chain", needs=Scope.AUDIT_READ, factor=Factor.GATE)
async def chain(visit: Visit) -> Response:
    """Compute a part of the chain anew and show whether it holds, and how to go on."""
    try:
        since, mark = _place(visit)
    except InvalidError as error:
        return _chain(visit, None, None, Messages.from_error(error, {"?mark": "mark"}))
    report = await audit.verify(
        visit.control, visit.merchant.id, mark=mark, since=since, entries_max=_CHECKED_AT_ONCE
    )
    return _chain(visit, report, mark, NO_MESSAGES)


def _chain(
    visit: Visit, report: ChainReport | None, mark: Mark | None, messages: Messages
) -> Response:
    further = None
    if report is not None and report.left:
        here = Mark(number=report.entries, hash=report.head)
        further = visit.tokens.seal(Use.CHAIN, " ".join((visit.form_merchant, *_said(here, mark))))
    return visit.show(
        "audit_chain.html",
        status=422 if messages else 200,
        title="The audit log's chain",
        report=report,
        mark=mark,
        asked=visit.query.get("mark", ""),
        further=None if further is None else f"{visit.path}?{urlencode({'so_far': further})}",
        messages=messages,
    )


def _place(visit: Visit) -> tuple[Mark, Mark | None]:
    """Return how far the check came, and the mark that has to lie on its way.

    How far it came is sealed: the page that says in the end that all holds has to know that
    somebody looked, and at this merchant's chain.

    Raises:
        InvalidError: It is no mark, or was not sealed by us.

    """
    so_far = visit.query.get("so_far", "")
    if not so_far:
        text = visit.query.get("mark", "").strip()
        return BEGINNING, _mark(text) if text else None
    whose, *said = visit.tokens.unseal(Use.CHAIN, so_far).split(" ")
    if whose != visit.form_merchant:
        raise InvalidError.at("?so_far", "invalid_cursor", "This is not a place in this chain.")
    marks = [_mark(" ".join(pair)) for pair in zip(said[::2], said[1::2], strict=True)]
    return marks[0], marks[1] if marks[1:] else None


def _said(*marks: Mark | None) -> list[str]:
    return [f"{mark.number} {mark.hash.hex()}" for mark in marks if mark is not None]


def _mark(text: str) -> Mark:
    found = _MARK.fullmatch(text)
    if found is None:
        detail = "A mark is a number and 64 characters of 0 to 9 and a to f, as this page shows it."
        raise InvalidError.at("?mark", "malformed", detail)
    return Mark(number=int(found[1]), hash=bytes.fromhex(found[2]))


async def _look(
    visit: Visit, names: "_Names", *, action: str, actor: str
) -> tuple[list[ChainedAuditEntry], int | None]:
    """Return a page of matching entries, and below which number to go on."""
    before, looked = _before(visit), 0
    found: list[ChainedAuditEntry] = []
    while looked < _LOOKED_MAX:
        entries = await visit.control.store.audit_latest(
            visit.merchant.id, before=before, limit=_SLICE
        )
        for chained in entries:
            if len(found) == _ROWS_MAX:
                return found, before
            before = chained.number
            said = chained.entry
            if said.action.startswith(action) and await names.fits(said.actor, actor):
                found.append(chained)
        if len(entries) < _SLICE:
            return found, None
        looked += len(entries)
    return found, before


async def _line(chained: ChainedAuditEntry, names: "_Names") -> Line:
    changes = json.loads(chained.entry.changes)
    return Line(
        number=chained.number,
        entry=chained.entry,
        hash=chained.hash.hex(),
        who=await names.of(chained.entry.actor),
        changes=[
            (member, "" if before is None else _words(before), _words(after))
            for member, before, after in _pairs(changes)
        ],
    )


def _pairs(changes: Mapping[str, object]) -> Iterable[tuple[str, object, object]]:
    for member, pair in changes.items():
        match pair:
            case [before, after]:
                yield member, before, after
            case _:
                yield member, None, pair


def _words(value: object) -> str:
    """Return a value of an entry as text. No secret is in any: ``control`` leaves them out."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class _Names:
    """What people call those who act. Each is looked up once for a page."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._known: dict[str, str] = {}

    async def of(self, actor: str) -> str:
        """Return the Username or the key by its label; what is neither is as it is printed."""
        if actor not in self._known:
            self._known[actor] = await self._find(actor)
        return self._known[actor]

    async def fits(self, actor: str, wanted: str) -> bool:
        """Whether the name or the printed actor has *wanted* in it."""
        return not wanted or wanted in actor.lower() or wanted in (await self.of(actor)).lower()

    async def _find(self, actor: str) -> str:
        kind, _, text = actor.partition(":")
        control = self._visit.control
        if kind == "user" and (user_id := ids.from_text(ids.USER, text)) is not None:
            user = await control.store.user(UserId(user_id))
            return actor if user is None else user.username
        if kind == "key":
            try:
                found = await keys.find(control, self._visit.merchant, text)
            except NotFoundError:
                # A key of the operator: what it is called is not the merchant's to read.
                return "Operator"
            # With a blank, so that no label reads as somebody's Username.
            return f"Key {found.label}"
        return actor.capitalize()


def _before(visit: Visit) -> int | None:
    """Return below which number the URL goes on.

    Raises:
        InvalidError: It is no number of an entry.

    """
    text = visit.query.get("before", "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _NUMBER_DIGITS_MAX):
        raise InvalidError.at("?before", "invalid_cursor", "This is not a place in this list.")
    return max(1, int(text))


def _address(visit: Visit, before: int | None) -> str:
    kept = {name: visit.query[name] for name in _FILTERS if visit.query.get(name)}
    if before is not None:
        kept["before"] = str(before)
    return f"{visit.path}?{urlencode(kept)}" if kept else visit.path

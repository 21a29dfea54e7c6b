"""A merchant of whom the console has something on every page, and what its store knows of it.

``furnished`` makes one; ``Rooms`` remembers what is stored, so that a request can be tried and
undone; ``told_of`` says which of the merchant's facts stand in an answer.
"""

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from tests.support.api_world import finish
from tests.support.browsing import Browser, ConsoleWorld, Seen

from payhooks import ids
from payhooks.control import connectors
from payhooks.control.connector_draft import ConnectorDraft
from payhooks.control.context import SYSTEM
from payhooks.model.delivery import Trigger
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role, User
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import ReceiptFilter
from payhooks.storage.memory import MemoryStore
from payhooks.storage.memory.tables import Tables

_KEPT: Final = {"clock", "observer"}  # of the tables, what is not data
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_REQUEST_ID: Final = re.compile(r"req_[0-9A-Z]+")
# Of each parameter of a path, an id that is well formed and nobody's.
NOBODYS: Final[Mapping[str, str]] = {
    name: ids.to_text(prefix, b"\xab" * 16)
    for name, prefix in {
        "key_id": ids.KEY,
        "invitation_id": ids.INVITATION,
        "user_id": ids.USER,
        "session_id": ids.SESSION,
        "endpoint_id": ids.ENDPOINT,
        "event_id": ids.EVENT,
        "delivery_id": ids.DELIVERY,
        "replay_id": ids.REPLAY,
        "run_id": ids.RUN,
        "inbox_id": ids.INBOX,
        "connector_id": ids.CONNECTOR,
        "receipt_id": ids.RECEIPT,
    }.items()
} | {"text": "inv" + "x" * 40}

# What no merchant has for itself: a type that the catalogue describes.
EVERYBODYS: Final = {"family": "treezor", "type_name": "payin.update"}


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """One merchant with everything, by the names that paths give it."""

    merchant: Merchant
    owner: User
    ids: Mapping[str, str]
    facts: tuple[str, ...]  # words that stand nowhere but with this merchant

    @property
    def id(self) -> str:
        """The merchant's id as it is printed."""
        return ids.to_text(ids.MERCHANT, self.merchant.id)


async def furnished(world: ConsoleWorld, name: str) -> Tenant:
    """Return a new merchant called *name*, with everything that a path can name."""
    merchant = await world.tenant(f"{name} trading")
    text = ids.to_text(ids.MERCHANT, merchant.id)
    url = f"https://{name}.example/hooks"
    endpoint = await world.endpoint(text, label=f"{name} ledger", url=url)
    await world.endpoint(text, label=f"{name} spare", url=url, events=["refund_*"])
    data = {"note": f"{name} payload"}
    event = (await world.publish(text, data=data)).json["id"]
    await finish(world, Trigger.GIVE_UP)
    world.advance(60)
    await world.publish(text, data=data)
    at = f"/v1/merchants/{text}"
    said = {"email": f"{name}-new@example.com", "role": "viewer"}
    invited = (await world.call("POST", f"{at}/invitations", said)).json
    replay = (await world.call("POST", f"{at}/replays", {"include": ["failed"]})).json
    run = (await world.call("POST", f"{at}/sandbox/runs", {"scenario": "card-sale"})).json
    inbox = (await world.call("POST", f"{at}/sandbox/inboxes")).json
    connector, receipt = await _heard(world, merchant, f"{name}-pay")
    await world.key(text, "events:write", label=f"{name} till", signing=True)
    [key] = (await world.call("GET", f"{at}/keys")).json["data"]
    [delivery] = (await world.call("GET", f"{at}/events/{event}/deliveries")).json["data"]
    colleague = await world.person(merchant, Role.SUPPORT, factor=False)
    owner = await world.person(merchant)
    found = {
        "endpoint_id": endpoint["id"],
        "event_id": event,
        "delivery_id": delivery["id"],
        "replay_id": replay["id"],
        "run_id": run["id"],
        "inbox_id": inbox["id"],
        "connector_id": connector,
        "receipt_id": receipt,
        "invitation_id": invited["id"],
        "key_id": key["id"],
        "user_id": ids.to_text(ids.USER, colleague.id),
        "text": invited["url"].rpartition("/")[2],
    }
    words = (
        f"{name} ",
        f"{name}-pay",
        f"{name}.example",
        f"{name}-new@",
        colleague.username,
        owner.username,
    )
    facts = (*words, inbox["url"], text, *found.values())
    return Tenant(merchant=merchant, owner=owner, ids=found | EVERYBODYS, facts=facts)


async def _heard(world: ConsoleWorld, merchant: Merchant, name: str) -> tuple[str, str]:
    """Return a new connector, and a receipt that came to it and could not be verified."""
    draft = ConnectorDraft(name=name, dialect="owlpay", secrets=(f"whs_of_{name}",))
    connector = await connectors.create(world.control, SYSTEM, merchant, draft)
    at = f"/webhooks/{ids.to_text(ids.MERCHANT, merchant.id)}/{name}"
    assert (await world.call("POST", at, {"note": name}, key=None)).status == 401
    [receipt] = await world.store.receipts(merchant.id, ReceiptFilter(), Window(limit=1))
    return ids.to_text(ids.CONNECTOR, connector.id), ids.to_text(ids.RECEIPT, receipt.id)


async def with_session(world: ConsoleWorld, tenant: Tenant, user: User) -> Tenant:
    """Return the tenant with another session of *user*, whose cookie nobody has."""
    known = {session.id for session in await world.store.sessions(user.id)}
    await Browser(world).sign_in(user, factor=False)
    [new] = [one for one in await world.store.sessions(user.id) if one.id not in known]
    return replace(tenant, ids={**tenant.ids, "session_id": ids.to_text(ids.SESSION, new.id)})


def parameters(path: str) -> list[str]:
    """Return the names of what a path of a page leaves open."""
    return _PARAMETER.findall(path)


def plain(seen: Seen, *given: str) -> tuple[int, str, str]:
    """Return the answer without what differs between two requests that are alike."""
    text = _REQUEST_ID.sub("req", seen.text)
    place = seen.goes_to or ""
    for one in given:
        text, place = text.replace(one, "…"), place.replace(one, "…")
    return seen.status, place, text


class Rooms:
    """What a memory store holds: looked at, kept, and put back."""

    def __init__(self, world: ConsoleWorld) -> None:
        assert isinstance(world.store, MemoryStore)
        self._tables: Tables = world.store._tables  # noqa: SLF001 - no port gives it all away
        self._names = [one.name for one in fields(Tables) if one.name not in _KEPT]

    def kept(self) -> bytes:
        """Return all that is stored; equal where nothing was written in between."""
        return pickle.dumps({name: getattr(self._tables, name) for name in self._names})

    def put_back(self, kept: bytes) -> None:
        """Undo what was written since."""
        for name, table in pickle.loads(kept).items():  # noqa: S301 - ours, of a moment ago
            setattr(self._tables, name, table)

    def of(self, tenant: Tenant) -> dict[str, bytes]:
        """Return every row that has to do with a merchant, by table and key."""
        marks = {tenant.merchant.id, tenant.owner.id}
        for text in tenant.ids.values():
            raw = ids.from_text(text.partition("_")[0], text)
            marks |= set() if raw is None else {raw}
        found: dict[str, bytes] = {}
        for name in self._names:
            table: Any = getattr(self._tables, name)
            rows = table.rows if name == "queue" else table
            for key, row in rows.items() if isinstance(rows, dict) else ():
                written = repr((key, row)).encode()
                if any(repr(mark)[2:-1].encode() in written for mark in marks):
                    found[f"{name} {key!r}"] = written
        return found


def told_of(tenant: Tenant, seen: Seen, *asked: str) -> set[str]:
    """Return the facts of a merchant that an answer tells and the request did not have."""
    answer = f"{seen.text} {seen.goes_to} {seen.header('set-cookie')}"
    return {fact for fact in tenant.facts if fact in answer and not any(fact in a for a in asked)}

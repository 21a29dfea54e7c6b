"""The whole API over the memory store, in this process, with a client that speaks ASGI."""

import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
from tests.support.stores import OpenedStore

from payhooks import ids
from payhooks.api import Readiness, Services, create_application
from payhooks.api.asgi import App, Message
from payhooks.control.context import SYSTEM, Control
from payhooks.control.event_types import TypeBook
from payhooks.control.keyring import Keyring
from payhooks.control.secrets import opener
from payhooks.flow.accept import Acceptor
from payhooks.flow.fan_out import order_key
from payhooks.flow.receive import Receiver
from payhooks.flow.routing import Directory
from payhooks.flow.tally import Tallier
from payhooks.ids import IdSource, TimeOrderedIds
from payhooks.model.attempt import Attempt, Reason, Timing
from payhooks.model.delivery import Trigger
from payhooks.ports.handoff import NoHandoff
from payhooks.ports.settling import Settlement
from payhooks.storage.memory import MemoryStore
from payhooks.storage.memory.tables import Tables
from payhooks.testing.clock import ManualClock
from payhooks.testing.fetching import ScriptedFetcher
from payhooks.testing.telemetry import QuietTelemetry

if TYPE_CHECKING:
    from payhooks.model.receipt import Receipt

OPERATOR_KEY = "operator-key-of-the-settings-0123456789"
OWNER = 7


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The body, read."""
        return json.loads(self.body)


class World:
    """One installation. ``call`` is the way in; ``store`` and ``clock`` are for a look behind."""

    def __init__(self, opened: OpenedStore | None = None) -> None:
        random = Random(1)
        self.clock = ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
        self._opened = opened or OpenedStore(MemoryStore(clock=self.clock), self.clock)
        self.store = self._opened.store
        clock = self._opened.clock
        self.ids: IdSource = TimeOrderedIds(clock, random)
        keyring = Keyring([os.urandom(32)], random_bytes=os.urandom)
        telemetry = self.telemetry = QuietTelemetry()
        self.tallier = Tallier(store=self.store, clock=clock, telemetry=telemetry)
        self.directory = Directory(self.store, opener(keyring), clock)
        self.fetcher = ScriptedFetcher()
        self.control = Control(
            store=self.store,
            clock=clock,
            ids=self.ids,
            keyring=keyring,
            random_bytes=random.randbytes,
            order_key=order_key,
            settled=self.tallier.settled,
            endpoint_changed=self._changed,
            fetcher=self.fetcher,
        )
        # As if another process had done what is done: nobody here is told.
        self.changed_elsewhere = False
        self.caller = SYSTEM
        self.bugs: list[BaseException] = []
        acceptor = Acceptor(
            store=self.store,
            directory=self.directory,
            handoff=NoHandoff(),
            clock=clock,
            ids=self.ids,
            telemetry=telemetry,
            tallier=self.tallier,
            owner=OWNER,
        )
        self.receipts: list[Receipt] = []
        self.receiver = Receiver(
            store=self.store,
            clock=clock,
            ids=self.ids,
            fetcher=self.fetcher,
            telemetry=telemetry,
            owner=OWNER,
            offer=self.receipts.append,
        )
        self.services = Services(
            control=self.control,
            acceptor=acceptor,
            directory=self.directory,
            receiver=self.receiver,
            book=TypeBook(self.control),
            owner=OWNER,
            operator_digest=hashlib.sha256(OPERATOR_KEY.encode()).digest(),
            cursor_key=random.randbytes(32),
            ready=self._ready,
            metrics=lambda: ("text/plain; version=0.0.4", b"up 1\n"),
            on_bug=lambda error, _request_id: self.bugs.append(error),
        )
        self.application = create_application(self.services)
        self.app: App = self.application.app

    def _changed(self, merchant_id: ids.MerchantId) -> None:
        if not self.changed_elsewhere:
            self.directory.outdate(merchant_id)

    def advance(self, seconds: float) -> None:
        """Let time pass for whatever store this is."""
        self._opened.advance(seconds)

    @staticmethod
    async def _ready() -> Readiness:
        return Readiness(ready=True, checks={"store": "ok"})

    async def call(  # noqa: PLR0913 - a request has many parts
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        key: str | None = OPERATOR_KEY,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        client: str = "192.0.2.1",
    ) -> Answer:
        """Send one request and return the answer."""
        sent = {"host": "payhooks.test"}
        content = raw if raw is not None else b""
        if body is not None:
            content = json.dumps(body).encode()
        if content:
            sent["content-type"] = "application/json"
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(n.encode(), v.encode("latin-1")) for n, v in sent.items() if v],
            "client": (client, 4711),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        return await _exchange(self.app, scope, content)

    async def merchant(self, **members: object) -> str:
        """Make a merchant and return its id."""
        answer = await self.call(
            "POST", "/v1/merchants", {"name": "Shop", "mode": "sandbox", **members}
        )
        assert answer.status == 201, answer.body
        merchant_id: str = answer.json["id"]
        return merchant_id

    async def key(self, merchant: str, *scopes: str, **members: object) -> str:
        """Make a key of the merchant and return its text."""
        answer = await self.call(
            "POST",
            f"/v1/merchants/{merchant}/keys",
            {"label": "A key", "scopes": list(scopes), **members},
        )
        assert answer.status == 201, answer.body
        text: str = answer.json["key"]
        return text

    async def endpoint(self, merchant: str, **members: object) -> dict[str, Any]:
        """Make an endpoint and return it."""
        said = {"label": "Hook", "url": "https://example.com/hook", "events": ["*"], **members}
        answer = await self.call("POST", f"/v1/merchants/{merchant}/endpoints", said)
        assert answer.status == 201, answer.body
        endpoint: dict[str, Any] = answer.json
        return endpoint

    async def publish(self, merchant: str, **members: object) -> Answer:
        """Publish an event and return the answer."""
        said = {"type": "payment_succeeded", "data": {"amount": 1}, **members}
        return await self.call("POST", f"/v1/merchants/{merchant}/events", said)

    def forget_delivery(self, delivery_id: ids.DeliveryId) -> None:
        """Lose the row of a delivery that is over, as a fault would."""
        assert isinstance(self.store, MemoryStore)
        tables = self.store._tables  # noqa: SLF001 - no port loses rows
        final = tables.deliveries.pop(delivery_id)
        assert final is not None
        for known in tables.deliveries_of.values():
            if delivery_id in known:
                known.remove(delivery_id)

    def break_store(self, method: str, replacement: Callable[..., Awaitable[object]]) -> None:
        """Let one method of the store do something else, as a fault would."""
        setattr(self.store, method, replacement)

    def edit_audit_entry(self, merchant_id: ids.MerchantId, *, number: int, actor: str) -> None:
        """Rewrite the past, as somebody with a way to the tables could."""
        log = self._audit_tables().audit_log[merchant_id]
        chained = log[number - 1]
        edited = msgspec.structs.replace(chained.entry, actor=actor)
        log[number - 1] = msgspec.structs.replace(chained, entry=edited)

    def fill_audit_log(self, merchant_id: ids.MerchantId, *, entries: int) -> None:
        """Chain so many entries, as years of changes would."""
        tables = self._audit_tables()
        template = tables.audit_log[merchant_id][0].entry
        for _ in range(entries):
            tables.log(template)

    def cut_audit_log(self, merchant_id: ids.MerchantId, *, number: int) -> None:
        """Take an entry and all behind it away, as somebody with a way to the tables could."""
        del self._audit_tables().audit_log[merchant_id][number - 1 :]

    def rewrite_audit_log(self, merchant_id: ids.MerchantId, *, actor: str) -> None:
        """Write a whole chain anew, so that it holds."""
        tables = self._audit_tables()
        entries = tables.audit_log.pop(merchant_id)
        del tables.audit_heads[merchant_id]
        for chained in entries:
            tables.log(msgspec.structs.replace(chained.entry, actor=actor))

    def _audit_tables(self) -> Tables:
        assert isinstance(self.store, MemoryStore)
        return self.store._tables  # noqa: SLF001 - no port rewrites the past

    async def audit_actions(self, merchant: str | None) -> list[str]:
        """Return what the audit log says was done, oldest first."""
        raw = None if merchant is None else ids.from_text(ids.MERCHANT, merchant)
        found = await self.store.audit(
            None if raw is None else ids.MerchantId(raw), after=0, limit=1_000
        )
        return [chained.entry.action for chained in found]


async def _exchange(app: App, scope: dict[str, Any], content: bytes) -> Answer:
    given = False
    started: Message = {}
    parts: list[bytes] = []

    async def receive() -> Message:
        nonlocal given
        if given:
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.update(message)
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in started["headers"]}
    return Answer(status=started["status"], headers=headers, body=b"".join(parts))


async def finish(
    world: World,
    trigger: Trigger,
    why: Reason = Reason.HTTP_5XX,
    *,
    block_order: bool = False,
) -> int:
    """Lease whatever is due and end it so, as a worker would; return how many."""
    ended = 0
    for _ in range(100):
        lease = await world.store.lease(owner=OWNER, lanes_max=50, per_lane_max=50, skip=())
        if not lease.leased:
            await world.tallier.hand_over()
            return ended
        reason = None if trigger is Trigger.SUCCEED else why
        settlements = [
            Settlement(
                delivery_id=leased.id,
                merchant_id=leased.merchant_id,
                endpoint_id=leased.endpoint_id,
                fence=leased.fence,
                trigger=trigger,
                delay_s=0,
                reason=reason,
                attempt=Attempt(
                    delivery_id=leased.id,
                    fence=leased.fence,
                    late=False,
                    at=world.control.clock.now(),
                    status=200 if reason is None else 503,
                    reason=reason,
                    detail="" if reason is None else "Your server answered 503.",
                    timing=Timing(),
                    peer="192.0.2.9:443",
                    answer_body=b"\xffno",
                ),
                rendered=None,
                block_order=block_order,
            )
            for leased in lease.leased
        ]
        assert all(await world.store.settle(settlements))
        for settlement in settlements:
            world.tallier.settled(settlement, held=True)
        ended += len(settlements)
    raise AssertionError("the queue does not end")

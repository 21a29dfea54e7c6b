"""A world in one process that hears connectors: the API's, and what processes receipts."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec
import pytest
from tests.support.api_world import Answer, World

from payhooks import ids
from payhooks.control import connectors, receipts
from payhooks.control.connector_draft import ConnectorDraft
from payhooks.control.secrets import opener
from payhooks.dialects import registry as dialects
from payhooks.errors import PayhooksError, UnavailableError
from payhooks.flow.ask import Asker
from payhooks.flow.expect import Expecter
from payhooks.flow.normalise import Normaliser
from payhooks.flow.publication import Publication, Published
from payhooks.flow.routing import Directory, RoutingTable
from payhooks.flow.tell import Teller
from payhooks.model.connector import Connector
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter
from payhooks.ports.receiving import ReceiptFilter

SECRET = "whs_test_secret_of_a_connector"
HEARD_AT = datetime.fromisoformat("2026-11-20T12:00:00+00:00")


class InboundWorld(World):
    """A World with a normaliser and an expecter."""

    def __init__(self) -> None:
        super().__init__()
        self.asker = self._another_asker()
        self.normaliser = self._normaliser(self.asker, self.directory)
        self.expecter = Expecter(
            self.control,
            self.services.acceptor,
            self.normaliser,
            self.services.book,
            telemetry=self.telemetry,
        )

    def another_normaliser(self) -> Normaliser:
        """Return one as another process on the same store has."""
        theirs = Directory(self.store, opener(self.control.keyring), self.clock)
        return self._normaliser(self._another_asker(), theirs)

    def _another_asker(self) -> Asker:
        return Asker(self.control, fetcher=self.fetcher, telemetry=self.telemetry, owner=1)

    def _normaliser(self, asker: Asker, directory: Directory) -> Normaliser:
        book = self.services.book
        teller = Teller(self.control, self.services.acceptor, book, telemetry=self.telemetry)
        return Normaliser(
            self.control,
            directory,
            book,
            asker=asker,
            teller=teller,
            telemetry=self.telemetry,
        )

    async def merchant_itself(self, merchant: str) -> Merchant:
        """Return the merchant with this printed id."""
        found = await self.store.merchant(ids.MerchantId(_raw(ids.MERCHANT, merchant)))
        assert found is not None
        return found

    async def connector(
        self,
        merchant: str,
        dialect: str,
        *,
        name: str | None = None,
        secrets: Sequence[str] = (SECRET,),
        **members: object,
    ) -> Connector:
        """Make a connector and return it."""
        said = {"name": name or dialect, "dialect": dialect, "secrets": tuple(secrets), **members}
        draft = msgspec.convert(said, ConnectorDraft)
        whose = await self.merchant_itself(merchant)
        made = await connectors.create(self.control, self.caller, whose, draft)
        self.directory.outdate(whose.id)
        return made

    async def hears(
        self, merchant: str, name: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Post what a provider sends."""
        return await self.call(
            "POST", f"/webhooks/{merchant}/{name}", raw=body, headers=headers, key=None
        )

    async def hears_event(  # noqa: PLR0913 - a message has many parts
        self,
        merchant: str,
        dialect: str,
        event_type: str,
        data: Mapping[str, object],
        *,
        object_type: str,
        object_id: str,
        at: datetime = HEARD_AT,
        number: int = 1,
    ) -> None:
        """Post what a provider of this dialect sends to the connector of its name; it is taken."""
        headers, body = sent(
            dialect,
            await self.merchant_itself(merchant),
            event_type,
            json.dumps(data).encode(),
            object_type=object_type,
            object_id=object_id,
            at=at,
            number=number,
        )
        answer = await self.hears(merchant, dialect, headers, body)
        assert answer.status == HTTPStatus.OK, answer.body

    async def process(self) -> None:
        """Process all that was received, in the order in which it came."""
        waiting, self.receipts[:] = list(self.receipts), []
        for receipt in waiting:
            try:
                await self.normaliser.process(receipt)
            except UnavailableError:
                self.receipts.append(receipt)

    def after_next_publication(
        self, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Awaitable[None]]
    ) -> None:
        """Have *work* done when something is told next, before whoever tells it goes on."""
        publish = self.services.acceptor.publish

        async def publish_and_work(
            of: str, said: Sequence[Publication], *, authorise: Callable[[RoutingTable], None]
        ) -> Sequence[Published | PayhooksError]:
            done = await publish(of, said, authorise=authorise)
            monkeypatch.setattr(self.services.acceptor, "publish", publish)
            await work()
            return done

        monkeypatch.setattr(self.services.acceptor, "publish", publish_and_work)

    async def events(self, merchant: str) -> list[Event]:
        """Return the merchant's events, oldest first."""
        found = await self.store.events(
            ids.MerchantId(_raw(ids.MERCHANT, merchant)), EventFilter(), Window(limit=1_000)
        )
        return [stored.event for stored in reversed(found)]

    async def stored(self, merchant: str) -> list[Receipt]:
        """Return the merchant's receipts, oldest first."""
        found = await self.store.receipts(
            ids.MerchantId(_raw(ids.MERCHANT, merchant)), ReceiptFilter(), Window(limit=1_000)
        )
        return list(reversed(found))

    async def insist(self, merchant: str) -> None:
        """Have the newest of the merchant's receipts that conflict told, as a person does."""
        whose = await self.merchant_itself(merchant)
        stored = await self.stored(merchant)
        *_, last = [one for one in stored if one.state is ReceiptState.CONFLICTING]
        await receipts.reprocess(self.control, self.caller, whose, [last], despite_conflict=True)
        [again] = await self.store.claim_receipts(owner=9, limit=10, for_s=1)
        await self.normaliser.process(again)

    async def retire_receipts(self, *, after: timedelta = timedelta(0), kept: timedelta) -> int:
        """Let time pass, and receipts go that came longer ago than they are kept; say how many."""
        self.advance(after.total_seconds())
        before = self.control.clock.now() - kept
        return await self.store.retire_receipts(before=before, limit=100)


def sent(  # noqa: PLR0913 - a message has many parts
    dialect: str,
    merchant: Merchant,
    event_type: str,
    data: bytes,
    *,
    object_type: str | None,
    object_id: str | None,
    at: datetime = HEARD_AT,
    number: int = 1,
    metadata: bytes | None = None,
    secret: str = SECRET,
    now: datetime = HEARD_AT,
) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a provider's message, as our own dialect writes it."""
    speaks = dialects.bound(dialect, merchant)
    stamp = int(at.timestamp() * 1_000) << 80 | number << 20
    event = Event(
        id=ids.EventId(stamp.to_bytes(16, "big")),
        merchant_id=merchant.id,
        type=event_type,
        family=dialect,
        data=data,
        object_type=object_type,
        object_id=object_id,
        occurred_at=at,
        metadata=metadata,
    )
    endpoint = Endpoint(
        id=ids.EndpointId(bytes(15) + b"\x01"),
        merchant_id=merchant.id,
        number=1,
        label="there",
        url="https://example.com",
        events=("*",),
        status=EndpointStatus.ACTIVE,
        disabled_reason=None,
        version=1,
        created_at=at,
        updated_at=at,
        dialect=dialect,
    )
    rendered = speaks.render(event=event, endpoint=endpoint, merchant=merchant)
    signed = speaks.sign(
        message_id=f"msg_{number}",
        body=rendered.body,
        secrets=[speaks.signing_secret(secret)],
        now=now,
    )
    headers = {name.lower(): value for name, value in signed.headers}
    return {"content-type": rendered.content_type, **headers}, signed.body


def later(minutes: float) -> datetime:
    """Return a time so long after the first."""
    return HEARD_AT + timedelta(minutes=minutes)


def _raw(prefix: str, text: str) -> bytes:
    raw = ids.from_text(prefix, text)
    assert raw is not None
    return raw

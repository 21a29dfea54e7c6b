"""The data plane of one process over a store of a test's choice, with a scripted receiver."""

from collections.abc import Callable, Sequence
from random import Random

from tests.support.world import World

from payhooks.errors import PayhooksError
from payhooks.flow.accept import Acceptor
from payhooks.flow.publication import Publication, Published
from payhooks.flow.routing import Directory, RoutingTable
from payhooks.flow.send import Sender
from payhooks.flow.settle import Settler
from payhooks.flow.tally import Tallier
from payhooks.ids import EndpointId, MerchantId, to_text
from payhooks.model.attempt import Outcome
from payhooks.model.endpoint import DisabledReason
from payhooks.model.merchant import Merchant
from payhooks.ports.store import Store
from payhooks.ports.telemetry import Telemetry
from payhooks.ports.transport import OutboundRequest
from payhooks.testing import QuietTelemetry, ScriptedTransport
from payhooks.worker.attempts import Attempts
from payhooks.worker.dispatcher import Dispatcher

OWNER = 7


class Flow:
    """One process: accept, dispatch, send, settle. No loops run by themselves."""

    def __init__(  # noqa: PLR0913 - whatever a test may want to be another
        self,
        world: World,
        *,
        store: Store | None = None,
        script: Callable[[OutboundRequest], Outcome | None] | None = None,
        transport: ScriptedTransport | None = None,
        slots: int = 100,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.world = world
        self.store = store or world.store
        self.quiet = QuietTelemetry()
        self.telemetry = telemetry or self.quiet
        self.transport = transport or ScriptedTransport(script)
        self.disabled: list[tuple[EndpointId, DisabledReason]] = []
        clock, random = world.clock, Random(1)
        self.tallier = Tallier(store=self.store, clock=clock, telemetry=self.telemetry)
        self.directory = Directory(self.store, lambda secret: secret.sealed.decode(), clock)
        self.settler = Settler(
            store=self.store,
            clock=clock,
            random=random,
            telemetry=self.telemetry,
            tallier=self.tallier,
            disable=self._disable,
            hint=self._hint,
        )
        self.attempts = Attempts(
            store=self.store,
            directory=self.directory,
            sender=Sender(transport=self.transport, clock=clock, allow_http=False),
            settler=self.settler,
            clock=clock,
            random=random,
            telemetry=self.telemetry,
        )
        self.dispatcher = Dispatcher(
            attempt=self.attempts.begin,
            give_back=self.settler.give_back,
            interrupt=self.settler.interrupt,
            unsettled=lambda: self.settler.waiting,
            clock=clock,
            telemetry=self.telemetry,
            slots=slots,
        )
        self.acceptor = Acceptor(
            store=self.store,
            directory=self.directory,
            handoff=self.dispatcher,
            clock=clock,
            ids=world.ids,
            telemetry=self.telemetry,
            tallier=self.tallier,
            owner=OWNER,
        )

    async def publish(
        self,
        merchant: Merchant,
        *publications: Publication,
        authorise: Callable[[RoutingTable], None] = lambda _table: None,
    ) -> Sequence[Published | PayhooksError]:
        """Publish as one request."""
        return await self.acceptor.publish(
            to_text("mer", merchant.id), publications, authorise=authorise
        )

    async def lease_and_send(self) -> int:
        """Do what the lease loop does, once, and wait until it is written down."""
        taken_at_s = self.world.clock.monotonic_s()
        lease = await self.store.lease(owner=OWNER, lanes_max=100, per_lane_max=100, skip=[])
        for leased in lease.leased:
            self.dispatcher.offer(leased, taken_at_s=taken_at_s)
        await self.settled()
        return len(lease.leased)

    async def settled(self) -> None:
        """Return when everything begun so far is on the disk."""
        await self.dispatcher.settled()
        await self.settler.drain()

    def _hint(self) -> None:
        self.dispatcher.hint()  # it is made after the settler

    async def _disable(
        self, _merchant_id: MerchantId, endpoint_id: EndpointId, reason: DisabledReason
    ) -> None:
        self.disabled.append((endpoint_id, reason))


def payment(number: int = 1, *, key: str | None = None, type_: str = "payment.paid") -> Publication:
    """Return a publication about the payment with this number."""
    return Publication(
        type=type_,
        family="shop",
        data=b'{"amount": 1.10, "number": %d}' % number,
        object_type="payment",
        object_id=str(number),
        idempotency_key=key,
    )

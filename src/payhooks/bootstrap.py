"""The composition root: the only file that knows which adapters exist.

``open_process`` makes the parts of one process from settings; ``payhooks.serving`` runs them.
"""

import hashlib
import os
import random
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import IO

from prometheus_client import CONTENT_TYPE_LATEST

from payhooks.api.peers import Peers
from payhooks.api.readiness import ReadinessCheck
from payhooks.api.services import Services
from payhooks.clock import Clock, SystemClock
from payhooks.control import resealing
from payhooks.control.context import Control
from payhooks.control.event_types import TypeBook
from payhooks.control.keyring import Keyring, parse_keys
from payhooks.control.secrets import open_secret
from payhooks.errors import PayhooksError
from payhooks.flow.accept import Acceptor
from payhooks.flow.fan_out import order_key
from payhooks.flow.receive import Receiver
from payhooks.flow.routing import Directory
from payhooks.flow.tally import Tallier
from payhooks.ids import IdSource, MerchantId, TimeOrderedIds
from payhooks.installed import load_dialects
from payhooks.observe import LineSink, Metrics, Recorder, configure_logs
from payhooks.observe.traces import Tracer
from payhooks.ports.handoff import Handoff, NoHandoff
from payhooks.ports.store import Store
from payhooks.ports.sweeping import Health
from payhooks.ports.telemetry import Telemetry
from payhooks.ports.transport import Transport
from payhooks.settings import Settings
from payhooks.storage.sqlite import SqliteStore
from payhooks.transport import CurlTransport
from payhooks.transport.fetching import TransportFetcher
from payhooks.transport.mail import SmtpMailer
from payhooks.working import Base, Sending, make_acceptor, make_dispatcher, make_sending


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The parts of one process, connected but not started."""

    settings: Settings
    store: Store
    services: Services
    acceptor: Acceptor
    receiver: Receiver
    transport: Transport
    tallier: Tallier
    metrics: Metrics
    lines: LineSink
    tracer: Tracer | None
    sending: Sending | None  # None: this process serves but does not send

    def heed(self, health: Health) -> None:
        """Show how the store fares, and do nothing while our clock is not the store's."""
        self.metrics.set_health(health)
        # Ids and signatures carry our time. What we would publish would be of another day, and
        # receivers would refuse what we sent, at the cost of its attempts.
        self.acceptor.refuses = "the clock differs" if health.clock_differs else None
        self.receiver.refuses = self.acceptor.refuses
        if self.sending is not None:
            self.sending.dispatcher.suspended = health.clock_differs

    async def stop(self) -> None:
        """End what is under way, in the direction of the data, and close everything."""
        if self.sending is not None:
            self.sending.dispatcher.begin_no_more()
        await self.receiver.drain()
        await self.acceptor.drain()
        if self.sending is not None:
            await self.sending.worker.drain(grace_s=self.settings.drain_grace_s)
        await self.transport.close()
        await self.tallier.stop()
        await self.store.close()
        if self.tracer is not None:
            self.tracer.close()
        self.lines.close()


async def open_store(settings: Settings, clock: Clock) -> Store:
    """Return the store that the settings name, ready for use.

    Raises:
        UnavailableError: It cannot be reached, or its schema is not this version's.
        WrongStateError: Another process has the SQLite file.

    """
    source = random.SystemRandom()
    path = settings.sqlite_path
    if path is None:
        # Its driver takes 5 MB that a process on SQLite has no use for.
        from payhooks.storage.postgres import PostgresStore  # noqa: PLC0415 - as said above

        url = settings.database_url.get_secret_value()
        return await PostgresStore.open(url, clock=clock, random=source)
    path.parent.mkdir(parents=True, exist_ok=True)
    return await SqliteStore.open(path, clock=clock, random=source)


def make_control(
    settings: Settings,
    store: Store,
    clock: Clock,
    ids: IdSource,
    *,
    endpoint_changed: Callable[[MerchantId], None] = lambda _merchant_id: None,
) -> Control:
    """Return the control plane over a store."""
    keys, smtp_url = parse_keys(settings.secret_key.get_secret_value()), settings.smtp_url
    return Control(
        store=store,
        clock=clock,
        ids=ids,
        keyring=Keyring(keys, random_bytes=os.urandom),
        random_bytes=secrets.token_bytes,
        order_key=order_key,
        urls=settings.url_policy,
        mailer=None if smtp_url is None else SmtpMailer(smtp_url.get_secret_value()),
        endpoint_changed=endpoint_changed,
    )


async def open_control(settings: Settings) -> Control:
    """Return the control plane alone, for commands that start no server.

    Raises:
        InvalidError: A dialect that is installed is broken.
        UnavailableError: The store cannot be reached, or its schema is not this version's.
        WrongStateError: Another process has the SQLite file.

    """
    load_dialects()
    clock = SystemClock()
    store = await open_store(settings, clock)
    return make_control(settings, store, clock, TimeOrderedIds(clock, random.SystemRandom()))


async def migrate(settings: Settings, *, pre_only: bool = False) -> None:
    """Bring the store's schema up to this version; a repeat changes nothing.

    With *pre_only*, on PostgreSQL, as far as the version before can still run beside this one.

    Raises:
        UnavailableError: It cannot be reached, or a newer version wrote it.
        WrongStateError: Another process has the SQLite file.

    """
    if settings.sqlite_path is None:
        from payhooks.storage.postgres import migrations  # noqa: PLC0415 - as in open_store

        await migrations.migrate(settings.database_url.get_secret_value(), pre_only=pre_only)
    store = await open_store(settings, SystemClock())  # SQLite migrates when it is opened
    await store.close()


async def open_process(
    settings: Settings, *, sends: bool = True, log_to: IO[bytes] | None = None
) -> Process:
    """Return a process's parts; with *sends* those of a worker too. Logs go to stdout, or there.

    Raises:
        InvalidError: A dialect that is installed is broken.
        UnavailableError: The store cannot be reached, its schema is not this version's, or
            its secrets were sealed with keys that the settings do not have.
        WrongStateError: Another process has the SQLite file.

    """
    load_dialects()
    clock, source = SystemClock(), random.SystemRandom()
    lines = LineSink(sys.stdout.buffer if log_to is None else log_to)
    log = configure_logs(lines, clock=clock, level=settings.log_level)
    tracer = Tracer() if settings.traces else None
    metrics = Metrics(
        dropped_lines=lambda: lines.dropped,
        dropped_spans=lambda: 0 if tracer is None else tracer.dropped,
    )
    telemetry = Recorder(metrics=metrics, log=log, lines=lines, clock=clock, tracer=tracer)
    store = await open_store(settings, clock)
    # Ids and jitter need spread and speed, not secrecy: seeded once from the system.
    ids = TimeOrderedIds(clock, random.Random(source.getrandbits(256)))  # noqa: S311 - as said

    def outdate(merchant_id: MerchantId) -> None:
        directory.outdate(merchant_id)

    tallier = Tallier(store=store, clock=clock, telemetry=telemetry)
    transport = _make_transport(settings, clock, telemetry)
    fetcher = TransportFetcher(transport)
    control = make_control(settings, store, clock, ids, endpoint_changed=outdate)
    control = replace(control, settled=tallier.settled, fetcher=fetcher)
    keyring = control.keyring
    directory = Directory(store, lambda secret: open_secret(keyring, secret), clock)
    await _examine(control, telemetry, lines)
    base = Base(
        settings=settings,
        clock=clock,
        random=random.Random(source.getrandbits(256)),  # noqa: S311 - as said
        ids=ids,
        telemetry=telemetry,
        tallier=tallier,
        store=store,
        control=control,
        directory=directory,
        transport=transport,
        fetcher=fetcher,
        owner=source.getrandbits(31),
    )
    return _composed(base, metrics, lines, tracer, sends=sends)


def _composed(
    base: Base, metrics: Metrics, lines: LineSink, tracer: Tracer | None, *, sends: bool
) -> Process:
    settler_and_dispatcher = make_dispatcher(base, metrics) if sends else None
    handoff: Handoff = settler_and_dispatcher[1] if settler_and_dispatcher else NoHandoff()
    acceptor = make_acceptor(base, handoff)
    sending = None
    if settler_and_dispatcher is not None:
        sending = make_sending(base, acceptor, *settler_and_dispatcher)
    receiver = _make_receiver(base, sending)
    return Process(
        settings=base.settings,
        store=base.store,
        services=_make_services(base, acceptor, receiver, metrics),
        acceptor=acceptor,
        receiver=receiver,
        transport=base.transport,
        tallier=base.tallier,
        metrics=metrics,
        lines=lines,
        tracer=tracer,
        sending=sending,
    )


async def _examine(control: Control, telemetry: Telemetry, lines: LineSink) -> None:
    """Refuse a store whose secrets are another installation's; say where it keeps less well."""
    try:
        await resealing.demand_openable(control)
        if (health := await control.store.health()).degraded:
            telemetry.alarmed("durability_degraded", health.durability)
    except PayhooksError:
        await control.store.close()
        lines.close()
        raise


def _make_receiver(base: Base, sending: Sending | None) -> Receiver:
    return Receiver(
        store=base.store,
        clock=base.clock,
        ids=base.ids,
        fetcher=base.fetcher,
        telemetry=base.telemetry,
        owner=base.owner,
        # Else whoever works claims it.
        offer=(lambda _receipt: None) if sending is None else sending.receipts.offer,
    )


def _make_transport(settings: Settings, clock: Clock, telemetry: Telemetry) -> CurlTransport:
    proxy, bundle = settings.egress_proxy, settings.egress_ca_bundle
    return CurlTransport(
        clock=clock,
        telemetry=telemetry,
        allowed=settings.egress_allow,
        proxy=None if proxy is None else proxy.get_secret_value(),
        ca_bundle=None if bundle is None else str(bundle),
    )


def _make_services(
    base: Base, acceptor: Acceptor, receiver: Receiver, metrics: Metrics
) -> Services:
    operator_key = base.settings.operator_key
    digest = None
    if operator_key is not None:
        digest = hashlib.sha256(operator_key.get_secret_value().encode()).digest()
    primary = parse_keys(base.settings.secret_key.get_secret_value())[0]
    return Services(
        control=base.control,
        acceptor=acceptor,
        directory=base.directory,
        receiver=receiver,
        book=TypeBook(base.control),
        owner=base.owner,
        operator_digest=digest,
        # Every process must read every other's cursors; nothing else may be learnt from them.
        cursor_key=hashlib.blake2b(b"cursors", key=primary).digest(),
        peers=Peers(base.settings.trusted_proxies),
        console_factor_s=base.settings.console_factor_s,
        ready=ReadinessCheck(base.store, base.clock).check,
        metrics=lambda: (CONTENT_TYPE_LATEST, metrics.expose()),
        on_bug=lambda error, request_id: base.telemetry.bug_caught("api", error, about=request_id),
    )

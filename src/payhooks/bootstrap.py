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
from functools import cache
from importlib.metadata import entry_points
from typing import IO

from prometheus_client import CONTENT_TYPE_LATEST

from payhooks.api.peers import Peers
from payhooks.api.readiness import ReadinessCheck
from payhooks.api.services import Services
from payhooks.clock import Clock, SystemClock
from payhooks.control import resealing, system
from payhooks.control.context import Control
from payhooks.control.event_types import TypeBook
from payhooks.control.keyring import Keyring, parse_keys
from payhooks.control.replay import Replayer
from payhooks.control.secrets import open_secret
from payhooks.dialects.offered import Offer
from payhooks.dialects.registry import ENTRY_POINTS, register, retry_policy
from payhooks.errors import InvalidError, PayhooksError
from payhooks.flow.accept import Acceptor
from payhooks.flow.fan_out import order_key
from payhooks.flow.orders import OrderFollower
from payhooks.flow.play import Player
from payhooks.flow.routing import Directory
from payhooks.flow.send import Sender
from payhooks.flow.settle import Settler
from payhooks.flow.sweep import Sweep
from payhooks.flow.tally import Tallier
from payhooks.ids import IdSource, MerchantId, TimeOrderedIds
from payhooks.observe import LineSink, Metrics, Recorder, configure_logs
from payhooks.observe.traces import Tracer
from payhooks.ports.handoff import Handoff, NoHandoff
from payhooks.ports.store import Store
from payhooks.ports.sweeping import Health
from payhooks.ports.telemetry import Telemetry
from payhooks.settings import Settings
from payhooks.storage.postgres import PostgresStore
from payhooks.storage.postgres.migrations import migrate as migrate_postgres
from payhooks.storage.sqlite import SqliteStore
from payhooks.transport import CurlTransport
from payhooks.transport.mail import SmtpMailer
from payhooks.worker.attempts import Attempts
from payhooks.worker.dispatcher import Dispatcher
from payhooks.worker.loop import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The parts of one process, connected but not started."""

    settings: Settings
    store: Store
    services: Services
    acceptor: Acceptor
    tallier: Tallier
    metrics: Metrics
    lines: LineSink
    tracer: Tracer | None
    sending: "Sending | None"  # None: this process serves but does not send

    def heed(self, health: Health) -> None:
        """Show how the store fares, and do nothing while our clock is not the store's."""
        self.metrics.set_health(health)
        # Ids and signatures carry our time. What we would publish would be of another day, and
        # receivers would refuse what we sent, at the cost of its attempts.
        self.acceptor.refuses = "the clock differs" if health.clock_differs else None
        if self.sending is not None:
            self.sending.dispatcher.suspended = health.clock_differs

    async def stop(self) -> None:
        """End what is under way, in the direction of the data, and close everything."""
        if self.sending is not None:
            self.sending.dispatcher.begin_no_more()
        await self.acceptor.drain()
        if self.sending is not None:
            await self.sending.worker.drain(grace_s=self.settings.drain_grace_s)
            await self.sending.transport.close()
        await self.tallier.stop()
        await self.store.close()
        if self.tracer is not None:
            self.tracer.close()
        self.lines.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """The half of a process that sends."""

    worker: Worker
    dispatcher: Dispatcher
    transport: CurlTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    settings: Settings
    clock: Clock
    random: random.Random
    ids: IdSource
    telemetry: Telemetry
    tallier: Tallier
    store: Store
    control: Control
    directory: Directory
    owner: int


async def open_store(settings: Settings, clock: Clock) -> Store:
    """Return the store that the settings name, ready for use.

    Raises:
        UnavailableError: It cannot be reached, or its schema is not this version's.
        WrongStateError: Another process has the SQLite file.

    """
    source = random.SystemRandom()
    path = settings.sqlite_path
    if path is None:
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


@cache
def load_dialects() -> tuple[str, ...]:
    """Make the dialects that other distributions bring known, once; return who brings them.

    Raises:
        InvalidError: One of them is broken; it says which, and what is wrong with it.

    """
    offers = []
    for entry in entry_points(group=ENTRY_POINTS):
        brought_by = "" if entry.dist is None else f" in {entry.dist.name} {entry.dist.version}"
        origin = f"{entry.name}{brought_by}"
        try:
            offers.append(Offer(origin, entry.load()))
        except Exception as error:
            # Importing foreign code may raise anything; the words of it are not ours to trust.
            detail = f"{origin} cannot be imported: {type(error).__name__}."
            raise InvalidError.at(ENTRY_POINTS, "broken_dialect", detail) from error
    register(offers)
    return tuple(offer.origin for offer in offers)


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
        url = settings.database_url.get_secret_value()
        await migrate_postgres(url, pre_only=pre_only)
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
    control = make_control(settings, store, clock, ids, endpoint_changed=outdate)
    control = replace(control, settled=tallier.settled)
    keyring = control.keyring
    directory = Directory(store, lambda secret: open_secret(keyring, secret), clock)
    await _examine(control, telemetry, lines)
    base = _Base(
        settings=settings,
        clock=clock,
        random=random.Random(source.getrandbits(256)),  # noqa: S311 - as said
        ids=ids,
        telemetry=telemetry,
        tallier=tallier,
        store=store,
        control=control,
        directory=directory,
        owner=source.getrandbits(31),
    )
    settler_and_dispatcher = _make_dispatcher(base, metrics) if sends else None
    handoff: Handoff = settler_and_dispatcher[2] if settler_and_dispatcher else NoHandoff()
    acceptor = _make_acceptor(base, handoff)
    sending = None
    if settler_and_dispatcher is not None:
        sending = _make_sending(base, acceptor, *settler_and_dispatcher)
    return Process(
        settings=settings,
        store=store,
        services=_make_services(base, acceptor, metrics),
        acceptor=acceptor,
        tallier=tallier,
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


def _make_acceptor(base: _Base, handoff: Handoff) -> Acceptor:
    return Acceptor(
        store=base.store,
        directory=base.directory,
        handoff=handoff,
        clock=base.clock,
        ids=base.ids,
        telemetry=base.telemetry,
        tallier=base.tallier,
        owner=base.owner,
    )


def _make_dispatcher(base: _Base, metrics: Metrics) -> tuple[CurlTransport, Settler, Dispatcher]:
    settings, clock = base.settings, base.clock
    proxy, bundle = settings.egress_proxy, settings.egress_ca_bundle
    transport = CurlTransport(
        clock=clock,
        allowed=settings.egress_allow,
        proxy=None if proxy is None else proxy.get_secret_value(),
        ca_bundle=None if bundle is None else str(bundle),
    )
    settler = Settler(
        store=base.store,
        clock=clock,
        random=base.random,
        telemetry=base.telemetry,
        tallier=base.tallier,
        disable=lambda *which: system.disable(base.control, *which),
        hint=lambda: dispatcher.hint(),  # noqa: PLW0108 - it is made below
    )
    attempts = Attempts(
        store=base.store,
        directory=base.directory,
        sender=Sender(transport=transport, clock=clock, allow_http=settings.allow_http),
        settler=settler,
        clock=clock,
        random=base.random,
        telemetry=base.telemetry,
    )
    dispatcher = Dispatcher(
        attempt=attempts.begin,
        give_back=settler.give_back,
        unsettled=lambda: settler.waiting,
        clock=clock,
        telemetry=base.telemetry,
    )
    metrics.in_flight.set_function(lambda: dispatcher.in_flight)
    return transport, settler, dispatcher


def _make_sending(
    base: _Base,
    acceptor: Acceptor,
    transport: CurlTransport,
    settler: Settler,
    dispatcher: Dispatcher,
) -> Sending:
    sweep = Sweep(
        store=base.store,
        acceptor=acceptor,
        clock=base.clock,
        telemetry=base.telemetry,
        tallier=base.tallier,
        disable=lambda *which: system.disable(base.control, *which),
        forget_listener=lambda *which: system.forget_listener(base.control, *which),
        dialect_policy=retry_policy,
        retention=base.settings.retention,
    )
    book = TypeBook(base.control)
    player = Player(base.control, acceptor, base.directory, book, owner=base.owner)
    worker = Worker(
        lease_store=base.store,
        sweep_store=base.store,
        dispatcher=dispatcher,
        settler=settler,
        sweep=sweep,
        advance_replays=Replayer(base.control, owner=base.owner).step,
        clock=base.clock,
        telemetry=base.telemetry,
        owner=base.owner,
        advance_runs=player.step,
        follow_orders=OrderFollower(base.control, acceptor, book, telemetry=base.telemetry).step,
    )
    return Sending(worker=worker, dispatcher=dispatcher, transport=transport)


def _make_services(base: _Base, acceptor: Acceptor, metrics: Metrics) -> Services:
    operator_key = base.settings.operator_key
    digest = None
    if operator_key is not None:
        digest = hashlib.sha256(operator_key.get_secret_value().encode()).digest()
    primary = parse_keys(base.settings.secret_key.get_secret_value())[0]
    return Services(
        control=base.control,
        acceptor=acceptor,
        directory=base.directory,
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

"""The half of a process that works, put together: what sends, sweeps, and makes events itself.

It knows ports alone; which adapters stand behind them is bootstrap's to say.
"""

import random
from dataclasses import dataclass

from payhooks.clock import Clock
from payhooks.control import system
from payhooks.control.context import Control
from payhooks.control.event_types import TypeBook
from payhooks.control.replay import Replayer
from payhooks.dialects.registry import retry_policy
from payhooks.flow.accept import Acceptor
from payhooks.flow.ask import Asker
from payhooks.flow.expect import Expecter
from payhooks.flow.normalise import Normaliser
from payhooks.flow.orders import OrderFollower
from payhooks.flow.play import Player
from payhooks.flow.receipt_queue import ReceiptQueue
from payhooks.flow.routing import Directory
from payhooks.flow.send import Sender
from payhooks.flow.settle import Settler
from payhooks.flow.sweep import Sweep
from payhooks.flow.tally import Tallier
from payhooks.flow.tell import Teller
from payhooks.ids import IdSource
from payhooks.observe import Metrics
from payhooks.ports.fetching import Fetcher
from payhooks.ports.handoff import Handoff
from payhooks.ports.store import Store
from payhooks.ports.telemetry import Telemetry
from payhooks.ports.transport import Transport
from payhooks.settings import Settings
from payhooks.worker.attempts import Attempts
from payhooks.worker.dispatcher import Dispatcher
from payhooks.worker.loop import Beside, Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """The half of a process that sends."""

    worker: Worker
    dispatcher: Dispatcher
    receipts: ReceiptQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What every part of a process is made with."""

    settings: Settings
    clock: Clock
    random: random.Random
    ids: IdSource
    telemetry: Telemetry
    tallier: Tallier
    store: Store
    control: Control
    directory: Directory
    transport: Transport
    fetcher: Fetcher
    owner: int


def make_acceptor(base: Base, handoff: Handoff) -> Acceptor:
    """Return what takes events."""
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


def make_dispatcher(base: Base, metrics: Metrics) -> tuple[Settler, Dispatcher]:
    """Return what writes down attempts, and what begins them."""
    settings, clock = base.settings, base.clock
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
        sender=Sender(transport=base.transport, clock=clock, allow_http=settings.allow_http),
        settler=settler,
        clock=clock,
        random=base.random,
        telemetry=base.telemetry,
    )
    dispatcher = Dispatcher(
        attempt=attempts.begin,
        give_back=settler.give_back,
        interrupt=settler.interrupt,
        unsettled=lambda: settler.waiting,
        clock=clock,
        telemetry=base.telemetry,
    )
    metrics.in_flight.set_function(lambda: dispatcher.in_flight)
    return settler, dispatcher


def make_sending(
    base: Base,
    acceptor: Acceptor,
    settler: Settler,
    dispatcher: Dispatcher,
) -> Sending:
    """Return the working half, not started."""
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
    asker = Asker(base.control, fetcher=base.fetcher, telemetry=base.telemetry, owner=base.owner)
    teller = Teller(base.control, acceptor, book, telemetry=base.telemetry)
    normaliser = Normaliser(
        base.control, base.directory, book, asker=asker, teller=teller, telemetry=base.telemetry
    )
    receipts = ReceiptQueue(
        normaliser.process,
        store=base.store,
        clock=base.clock,
        telemetry=base.telemetry,
        owner=base.owner,
    )
    expecter = Expecter(base.control, acceptor, normaliser, book, telemetry=base.telemetry)
    follower = OrderFollower(base.control, acceptor, book, telemetry=base.telemetry)
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
        beside=(
            Beside("orders", 1.0, follower.step),
            Beside("receipts", 0.0, receipts.step),
            Beside("expectations", 1.0, expecter.step),
        ),
    )
    return Sending(worker=worker, dispatcher=dispatcher, receipts=receipts)

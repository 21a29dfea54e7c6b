"""What a process is made of. Right by default; a planted bug replaces one part."""

from collections.abc import Callable
from dataclasses import dataclass

from payhooks.control.replay import Replayer
from payhooks.flow.accept import Acceptor
from payhooks.flow.settle import Settler
from payhooks.flow.tell import Teller
from payhooks.ports.transport import Transport
from payhooks.simulator.watched import WatchedStore
from payhooks.worker.attempts import Attempts
from payhooks.worker.dispatcher import Dispatcher


def as_it_is(transport: Transport) -> Transport:
    """Return the way out unchanged."""
    return transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The classes that a world is composed of."""

    store: type[WatchedStore] = WatchedStore
    acceptor: type[Acceptor] = Acceptor
    attempts: type[Attempts] = Attempts
    settler: type[Settler] = Settler
    dispatcher: type[Dispatcher] = Dispatcher
    replayer: type[Replayer] = Replayer
    teller: type[Teller] = Teller
    transport: Callable[[Transport], Transport] = as_it_is


RIGHT = Parts()

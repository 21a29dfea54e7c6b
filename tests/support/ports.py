"""Ports for servers that tests start, stop and start again on the same one."""

import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from payhooks.policy.hook_url import PORTS_DENIED

# Below those that the system gives to outgoing connections (32768 on Linux): while a server of a
# test is down, nobody else's connection may sit on its port.
_FIRST: Final = 20_000
_COUNT: Final = 12_000
# Far apart for processes that were started one after the other, as a runner's workers are.
_STRIDE: Final = 997


def _candidates() -> Iterator[int]:
    start = os.getpid() * _STRIDE
    found = (_FIRST + (start + step) % _COUNT for step in itertools.count())
    # No webhook may lead to those: a receiver there would be refused.
    return (port for port in found if port not in PORTS_DENIED)


_next: Final = _candidates()


def free_port() -> int:
    """Return a port of the loopback that nobody uses; the same process gets each only once."""
    for port in itertools.islice(_next, _COUNT):
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")

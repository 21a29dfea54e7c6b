"""The ground under tests of lost packets: a namespace loses, refuses and reaches."""

import socket

import pytest
from tests.support.netns import linked, namespace


def test_a_namespace_loses_refuses_and_reaches() -> None:
    """What stands on it would otherwise show nothing."""
    with namespace() as one, namespace() as other, linked(one, other) as (here, there):
        with other.entered():
            listener = socket.create_server((there, 0))
            port = listener.getsockname()[1]
        with listener, one.entered():
            socket.create_connection((there, port), timeout=2).close()
            one.lose(f"{there}/32")
            with pytest.raises(TimeoutError):
                socket.create_connection((there, port), timeout=0.3)
            one.find(f"{there}/32")
            socket.create_connection((there, port), timeout=2).close()
            other.lose(f"{here}/32")
            with pytest.raises(TimeoutError):
                socket.create_connection((there, port), timeout=0.3)
            one.refuse("10.66.0.0/16")
            with pytest.raises(OSError, match="No route to host"):
                socket.create_connection(("10.66.1.1", 80), timeout=2)

"""The bad line does what it says: a fault that does not happen proves nothing."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from tests.support.fault_proxy import FaultProxy, Faults, Way

S_MAX = 5.0


class Echo:
    """A server that says back what it hears, and notes when it hears the end."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    connection.sendall(data)
            except OSError:
                return
            self.ended.set()


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    with FaultProxy(echo.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=S_MAX) as client:
        yield client


def _read(client: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count and (piece := client.recv(count - len(got))):
        got += piece
    return got


def _connect_and_read(proxy: FaultProxy) -> bytes:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=S_MAX) as client:
        return client.recv(1)


def test_without_a_fault_everything_passes_and_is_counted(
    proxy: FaultProxy, client: socket.socket
) -> None:
    """A proxy that harms by itself would blame the product."""
    said = bytes(range(256)) * 1_000
    threading.Thread(target=client.sendall, args=(said,), daemon=True).start()
    assert _read(client, len(said)) == said
    assert proxy.connections == proxy.open == 1
    assert proxy.passed == {Way.TO_SERVER: len(said), Way.TO_CLIENT: len(said)}


def test_latency_delays_and_does_not_thin(proxy: FaultProxy, client: socket.socket) -> None:
    """A long line is not a slow one: what is sent together arrives together."""
    proxy.inflict(to_server=Faults(latency_s=0.2))
    began_s = time.monotonic()
    for number in range(20):
        client.sendall(b"%02d" % number)
        threading.Event().wait(0.005)
    assert _read(client, 40) == b"".join(b"%02d" % number for number in range(20))
    assert 0.2 <= time.monotonic() - began_s < 1.0


def test_a_rate_is_kept_to(proxy: FaultProxy, client: socket.socket) -> None:
    """A drip of a few bytes a second is how slow receivers are played."""
    proxy.inflict(to_client=Faults(bytes_per_s=1_000, slice_bytes=50))
    began_s = time.monotonic()
    client.sendall(bytes(300))
    assert len(_read(client, 300)) == 300
    assert 0.2 <= time.monotonic() - began_s < 1.0


def test_slices_arrive_one_by_one(proxy: FaultProxy, client: socket.socket) -> None:
    """Parsers that count on whole messages must be caught."""
    proxy.inflict(to_client=Faults(slice_bytes=1, bytes_per_s=100))
    client.sendall(b"abc")
    assert [client.recv(3) for _ in range(3)] == [b"a", b"b", b"c"]


def test_a_reset_comes_after_exactly_so_many_bytes(
    proxy: FaultProxy, client: socket.socket
) -> None:
    """A reset is not an end: whoever reads must be able to tell."""
    proxy.inflict(to_client=Faults(reset_after=3))
    client.sendall(b"abcdef")
    with pytest.raises(ConnectionResetError):
        _read(client, 6)
    assert proxy.passed[Way.TO_CLIENT] == 3


def test_a_half_close_ends_one_direction_alone(
    proxy: FaultProxy, client: socket.socket, echo: Echo
) -> None:
    """The other side may go on talking into it."""
    proxy.inflict(to_client=Faults(half_close_after=2))
    client.sendall(b"abc")
    assert _read(client, 3) == b"ab"
    client.sendall(b"def")
    client.shutdown(socket.SHUT_WR)
    assert echo.ended.wait(S_MAX)
    assert proxy.passed[Way.TO_SERVER] == 6


def test_a_black_hole_takes_what_is_connected_and_gives_it_back(
    proxy: FaultProxy, client: socket.socket
) -> None:
    """A partition heals, and what was on the line then may still arrive."""
    client.sendall(b"a")
    assert _read(client, 1) == b"a"
    proxy.black_hole()
    client.sendall(b"b")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.2) as late:
        late.sendall(b"c")
        with pytest.raises(TimeoutError):
            late.recv(1)
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.heal()
        late.settimeout(S_MAX)
        client.settimeout(S_MAX)
        assert _read(client, 1) == b"b"
        assert _read(late, 1) == b"c"


def test_one_direction_may_be_stopped_alone(proxy: FaultProxy, client: socket.socket) -> None:
    """Asymmetric: what was asked is done, and the answer does not come."""
    proxy.inflict(to_client=Faults(stopped=True))
    client.sendall(b"abc")
    ends_s = time.monotonic() + S_MAX
    while proxy.passed[Way.TO_SERVER] < 3:
        assert time.monotonic() < ends_s
    assert proxy.passed[Way.TO_CLIENT] == 0


def test_one_byte_arrives_as_another(proxy: FaultProxy, client: socket.socket) -> None:
    """TCP's checksum is weak; what reads must not believe everything."""
    proxy.inflict(to_client=Faults(corrupt_at=1))
    client.sendall(b"abc")
    assert _read(client, 3) == bytes([ord("a"), ord("b") ^ 0xFF, ord("c")])


def test_what_is_connected_can_be_cut_and_newcomers_turned_away(
    proxy: FaultProxy, client: socket.socket
) -> None:
    """A load balancer that loses its table does both."""
    client.sendall(b"a")
    assert _read(client, 1) == b"a"
    proxy.refuses = True
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionResetError):
        _connect_and_read(proxy)
    assert proxy.connections == 2


def test_new_connections_go_where_it_is_told(proxy: FaultProxy, client: socket.socket) -> None:
    """A failover: the same address, another server behind it."""
    other = Echo()
    proxy.server_port = other.port
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=S_MAX) as late:
        late.shutdown(socket.SHUT_WR)
        assert late.recv(1) == b""
    assert other.ended.wait(S_MAX)
    other.close()

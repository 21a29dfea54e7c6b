"""Hosts of a test's own: network namespaces, the wires between them, and what gets lost there.

    with namespace() as host, host.entered():
        host.lose("10.66.0.0/16")           # whatever is sent there is never heard of again

Needs root and iproute2, and nothing else: a wire whose far end nobody holds swallows packets as
a firewall does. Every namespace bears the pid of who made it and is gone at the end of the block;
what a killed test left behind goes with the next.

    python -m tests.support.netns NAME MODULE ARGUMENT…     runs a module of Python inside
"""

import ctypes
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from tests.support.shown import RESULTS_VARIABLE

_PREFIX: Final = "payhooks-test"
_CLONE_NEWNET: Final = 0x4000_0000
_VOID: Final = "void"
_COMMAND_S_MAX: Final = 10.0
_OF_A_NAMESPACE: Final = Path("/etc/netns")  # `ip netns exec` lays what is here over /etc
_numbers: Final = itertools.count(1)


class Namespace:
    """One host: its own interfaces, addresses, routes and ports. Loopback is up."""

    def __init__(self, name: str) -> None:
        self.name = name

    def module(self, *command: str) -> tuple[str, ...]:
        """Return *command*, a module with its arguments, as one that runs in here."""
        return ("tests.support.netns", self.name, *command)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make this thread one of the host: its new sockets and processes are in here.

        Threads begun in the block are too. A socket stays where it was made.
        """
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
            try:
                _enter(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _enter(own)
        finally:
            os.close(own)

    def lose(self, network: str) -> None:
        """From now on nothing that is sent to *network* arrives, and nobody is told."""
        _ip("-n", self.name, "route", "replace", network, "dev", _VOID)

    def find(self, network: str) -> None:
        """Undo `lose`: packets go the way that they went before."""
        _ip("-n", self.name, "route", "del", network, "dev", _VOID)

    def refuse(self, network: str) -> None:
        """From now on there is no way to *network*, and whoever tries is told at once."""
        _ip("-n", self.name, "route", "replace", "unreachable", network)

    def ask_names_of(self, address: str) -> None:
        """Let processes begun by `module` from now on ask this name server and no other."""
        folder = _OF_A_NAMESPACE / self.name
        folder.mkdir(parents=True, exist_ok=True)
        # One question, one second: a test need not wait as long as people do.
        said = f"nameserver {address}\noptions timeout:1 attempts:1\n"
        (folder / "resolv.conf").write_text(said, encoding="utf-8")


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Yield a host that reaches nobody but itself.

    Where none can be made the test is skipped, which says why; a proof fails instead.
    """
    host = Namespace(f"{_PREFIX}-{os.getpid()}-{next(_numbers)}")
    try:
        _remove_left_behind()
        _ip("netns", "add", host.name)
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get(RESULTS_VARIABLE):
            raise
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else error
        pytest.skip(f"no network namespace can be made here: {said}".strip())
    try:
        _ip("-n", host.name, "link", "set", "lo", "up")
        _make_void(host.name)
        yield host
    finally:
        _remove(host.name)


@contextmanager
def linked(*hosts: Namespace) -> Iterator[list[str]]:
    """Join hosts of `namespace` by one wire each to a switch; yield their addresses."""
    addresses = []
    with namespace() as switch:
        _ip("-n", switch.name, "link", "add", "name", "switch", "type", "bridge")
        _ip("-n", switch.name, "link", "set", "switch", "up")
        for number, host in enumerate(hosts, start=1):
            port, wire, address = f"port{number}", f"wire{number}", f"10.77.0.{number}"
            ends = ("name", port, "type", "veth", "peer", "name", wire, "netns", host.name)
            _ip("-n", switch.name, "link", "add", *ends)
            _ip("-n", switch.name, "link", "set", port, "master", "switch", "up")
            _ip("-n", host.name, "addr", "add", f"{address}/24", "dev", wire)
            _ip("-n", host.name, "link", "set", wire, "up")
            addresses.append(address)
        yield addresses


def _make_void(name: str) -> None:
    # Without ARP it sends to addresses that nobody has; the far end has none and drops it all.
    ends = ("name", _VOID, "type", "veth", "peer", "name", "nowhere")
    _ip("-n", name, "link", "add", *ends)
    _ip("-n", name, "link", "set", _VOID, "arp", "off", "up")
    _ip("-n", name, "link", "set", "nowhere", "up")
    _ip("-n", name, "addr", "add", "192.0.2.1/32", "dev", _VOID)


def _remove_left_behind() -> None:
    for entry in Path("/run/netns").glob(f"{_PREFIX}-*"):
        if not Path(f"/proc/{entry.name.split('-')[2]}").exists():
            _remove(entry.name)


def _remove(name: str) -> None:
    shutil.rmtree(_OF_A_NAMESPACE / name, ignore_errors=True)
    # Two tests may find the same thing left behind, and only one can remove it.
    subprocess.run([_ip_path(), "netns", "del", name], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(
        [_ip_path(), *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=_COMMAND_S_MAX,
    )


def _ip_path() -> str:
    # Not everybody's PATH has the folder of what only root runs.
    return shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "ip"


def _enter(descriptor: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    # In place of this process, so that whoever began it has the pid of what runs.
    os.execv(  # noqa: S606 - the point of it
        _ip_path(), ["ip", "netns", "exec", sys.argv[1], sys.executable, "-m", *sys.argv[2:]]
    )

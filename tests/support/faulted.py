"""A served process whose store suffers, under a load that a checker judges afterwards."""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from tests.support.fault_proxy import FaultProxy
from tests.support.journal import Verdict, judge
from tests.support.own_postgres import OwnPostgres
from tests.support.publisher import Item, Publisher
from tests.support.receiving import Receiving, until
from tests.support.server import EVENT_TYPE, Api, Server, Tenant
from tests.support.soak import wait_until_settled

_CONNECTIONS: Final = 8
# About 400 events a second: enough to be in the middle of something at any moment.
_PAUSE_S: Final = 0.02
_NUMBERS: Final = count()


@dataclass(frozen=True, slots=True)
class Told:
    """One answer of the API, with how long it took."""

    status: int
    headers: dict[str, str]
    body: Any
    took_s: float

    @property
    def is_late_not_lost(self) -> bool:
        """Whether it says: not now, nothing was taken, come back then."""
        return (
            self.status == 503
            and int(self.headers.get("retry-after", "0")) >= 1
            and self.body["retryable"] is True
        )


def ask(port: int, method: str, path: str, key: str = "", body: object = None, **more: str) -> Told:
    """Return what the API says, whatever it is."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    headers |= {name.replace("_", "-"): text for name, text in more.items()}
    if body is not None:
        headers["content-type"] = "application/json"
    began_s = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    return Told(
        answer.status,
        {name.lower(): value for name, value in answer.getheaders()},
        json.loads(text) if text.startswith(b"{") else text.decode(),
        time.monotonic() - began_s,
    )


def publish(tenant: Tenant, name: str, **more: str) -> Told:
    """Publish one event named so, and return what came of it."""
    body = {"type": EVENT_TYPE, "data": {"key": name}}
    return ask(tenant.api.port, "POST", f"{tenant.path}/events", tenant.key, body, **more)


class Load:
    """Publishes from a thread, event after event, until told to stop; nothing is given up."""

    def __init__(self, tenant: Tenant, *, connections: int = _CONNECTIONS) -> None:
        self.publisher = Publisher(tenant.api.port, tenant.path, tenant.key, pause_s=_PAUSE_S)
        self._connections = connections
        self._name = f"load{next(_NUMBERS)}"
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def acked(self) -> int:
        """How many were answered 202."""
        return self.publisher.acked

    def start(self) -> "Load":
        self._thread.start()
        return self

    def more(self, acked: int = 40, *, s: float = 60.0) -> float:
        """Return when so many more were answered 202, with how long that took."""
        began_s, before = time.monotonic(), self.acked
        until(lambda: self._error is not None or self.acked >= before + acked, bool, s=s)
        if self._error is not None:
            raise self._error
        return time.monotonic() - began_s

    def stop(self) -> None:
        """Begin no more, and return when what was begun was answered 202."""
        self._stopped.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "something is never answered 202"
        if self._error is not None:
            raise self._error

    @property
    def refusals(self) -> set[int]:
        """What was answered instead of 202 on the way."""
        entries = list(self.publisher.journal.values())
        return {status for entry in entries for status in entry.refused}

    def _work(self) -> None:
        lists = [self._items(number) for number in range(self._connections)]
        try:
            asyncio.run(self.publisher.run(lists))
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self._error = error

    def _items(self, connection: int) -> Iterator[Item]:
        number = 0
        while not self._stopped.is_set():
            key = f"{self._name}-{connection}-{number}"
            yield Item(key=key, data={"key": key})
            number += 1


@dataclass(frozen=True, slots=True)
class Ground:
    """A server, its tenant with one endpoint, and the receiver of that."""

    server: Server
    tenant: Tenant
    receiving: Receiving

    def judge(self, load: Load) -> Verdict:
        """Return what the checker says of *load*, once everything has settled."""
        load.stop()
        wait_until_settled(self.tenant)
        keys = load.publisher.journal
        mine = [
            each
            for each in self.receiving.received
            if isinstance(each.data, dict) and each.data["key"] in keys
        ]
        return judge(
            keys,
            mine,
            paths=list(self.tenant.secrets),
            attempts=lambda id_: len(
                self.tenant.api.get(f"{self.tenant.path}/deliveries/{id_}")["attempts"]
            ),
        )


@dataclass(frozen=True, slots=True)
class OnPostgres:
    """A server on a PostgreSQL that may be harmed, behind a line that may be harmed."""

    ground: Ground
    postgres: OwnPostgres
    line: FaultProxy


@contextmanager
def ground(server: Server, **endpoint: Any) -> Iterator[Ground]:  # noqa: ANN401 - members of JSON
    """Yield a started server with a tenant and an endpoint that answers 200."""
    receiving = Receiving()
    try:
        tenant = Tenant(Api(server.start().port))
        tenant.endpoint(receiving.url(), timeout_s=1, **endpoint)
        receiving.receiver.secrets.update(tenant.secrets)
        yield Ground(server, tenant, receiving)
    finally:
        server.close()
        receiving.close()

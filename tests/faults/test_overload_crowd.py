"""More than there is room for: events, and file descriptors. Rows F72 and F76."""

import asyncio
import http.client
import json
import os
import re
import resource
import sqlite3
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.publisher import Item, Publisher
from tests.support.receiving import until
from tests.support.server import EVENT_TYPE, Api, Server, Tenant
from tests.support.soak import OtherProcess, wait_until_settled

CONNECTIONS = 32
BATCH = 1_000
RSS_MIB_MAX = 256
OFFERED_MIN = 4  # times what was taken


class Storm:
    """Batch after batch over many connections, without a pause, whatever the answer is."""

    def __init__(self, tenant: Tenant, seconds: float) -> None:
        events = [{"type": "storm.event", "data": {"n": number}} for number in range(BATCH)]
        body = json.dumps({"events": events}).encode()
        self._request = (
            f"POST {tenant.path}/events/batch HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"content-type: application/json\r\nauthorization: Bearer {tenant.key}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._port = tenant.api.port
        self._ends_s = time.monotonic() + seconds
        self.statuses: Counter[int] = Counter()
        self.items: Counter[str] = Counter()  # of answers 202: stored, or why not
        self.without_retry_after = 0

    @property
    def offered(self) -> int:
        return BATCH * self.statuses.total()

    async def run(self) -> None:
        await asyncio.gather(*(self._send() for _ in range(CONNECTIONS)))

    async def _send(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        while time.monotonic() < self._ends_s:
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            body = await reader.readexactly(int(length[1]))
            status = int(head[9:12])
            self.statuses[status] += 1
            if status == 202:
                for item in json.loads(body)["data"]:
                    self.items["stored" if "id" in item else item["error"]["type"]] += 1
            else:
                self.without_retry_after += b"\nretry-after: " not in head
        writer.close()


@pytest.mark.shows("F72")
@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.long)])
def test_a_storm_is_turned_away_and_costs_nobody_else(
    on_sqlite: Server, receiver: OtherProcess, seconds: int
) -> None:
    """What is not taken is said so at once; what was taken is there; a quiet merchant publishes."""
    loud, quiet = (Tenant(Api(on_sqlite.port), name) for name in ("Loud", "Quiet"))
    quiet.endpoint(receiver.url("/ok"))
    receiver.learn(quiet.secrets)
    storm = Storm(loud, seconds)
    publisher = Publisher(on_sqlite.port, quiet.path, quiet.key, pause_s=0.1)
    items = [Item(key=f"k{number}", data={"key": f"k{number}"}) for number in range(10 * seconds)]

    async def both() -> None:
        await asyncio.gather(storm.run(), publisher.run([items]))

    asyncio.run(both())
    wait_until_settled(quiet)
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{on_sqlite.pid}/status").read_text("utf-8"))
    assert peak is not None
    assert on_sqlite.stop() == 0
    stored = _stored(on_sqlite)
    assert set(storm.statuses) <= {202, 429, 503}
    assert storm.without_retry_after == 0
    assert stored == storm.items["stored"]
    assert receiver.count() == len(items)
    assert int(peak[1]) < RSS_MIB_MAX * 1024
    assert storm.offered > OFFERED_MIN * stored


def _stored(server: Server) -> int:
    with sqlite3.connect(server.sqlite_path) as db:
        [count] = db.execute("SELECT count(*) FROM events WHERE type = 'storm.event'").fetchone()
    db.close()
    return int(count)


def _cpu_s(server: Server) -> float:
    fields = Path(f"/proc/{server.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _open_files(server: Server) -> int:
    return sum(1 for _ in Path(f"/proc/{server.pid}/fd").iterdir())


@pytest.mark.shows("F76")
@pytest.mark.parametrize("to_the_end", [False, pytest.param(True, marks=pytest.mark.long)])
def test_without_file_descriptors_nothing_is_spent_and_all_goes_on_afterwards(
    on_sqlite: Server, receiver: OtherProcess, *, to_the_end: bool
) -> None:
    """A limit of ours is not the receiver's fault: no attempt, no breaker, and no spinning."""
    tenant = Tenant(Api(on_sqlite.port))
    endpoint = tenant.endpoint(receiver.url("/ok"))
    kept = http.client.HTTPConnection("127.0.0.1", on_sqlite.port, timeout=30)
    kept.request("GET", "/healthz")
    assert kept.getresponse().read()
    soft, hard = resource.prlimit(on_sqlite.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(on_sqlite.pid, resource.RLIMIT_NOFILE, (_open_files(on_sqlite), hard))
    body = json.dumps({"type": EVENT_TYPE, "data": {"key": "k"}})
    headers = {"authorization": f"Bearer {tenant.key}", "content-type": "application/json"}
    kept.request("POST", f"{tenant.path}/events", body, headers)
    answer = kept.getresponse()
    assert (answer.status, bool(answer.read())) == (202, True)
    before_s = _cpu_s(on_sqlite)
    with suppress(OSError, http.client.HTTPException):
        Api(on_sqlite.port).get("/healthz")
    threading.Event().wait(1)
    assert _cpu_s(on_sqlite) - before_s < 0.6
    resource.prlimit(on_sqlite.pid, resource.RLIMIT_NOFILE, (soft, hard))
    kept.close()
    until(lambda: _answers(on_sqlite), bool)
    [waiting] = tenant.api.pages(f"{tenant.path}/deliveries?endpoint_id={endpoint}")
    shown = tenant.api.get(f"{tenant.path}/deliveries/{waiting['id']}")
    assert (shown["status"], shown["attempts"]) == ("scheduled", [])
    other = Tenant(tenant.api, "Other")
    other.endpoint(receiver.url("/ok/other"))
    other.publish({"key": "other"})
    wait_until_settled(other)
    if to_the_end:
        wait_until_settled(tenant)
        assert receiver.count() == 2


def _answers(server: Server) -> bool:
    try:
        return bool(Api(server.port).get("/healthz"))
    except (OSError, http.client.HTTPException):
        return False

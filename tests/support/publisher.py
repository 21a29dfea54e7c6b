"""A publisher that never gives up and writes down what it was told.

Each caller has one connection and one event under way. An answer that did not come is asked
for again with the same idempotency key, as DESIGN asks of publishers, until it comes.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.server import EVENT_TYPE

_RETRY_S: Final = 0.02
_ANSWER_S_MAX: Final = 30.0


@dataclass(slots=True)
class Entry:
    """What the publisher knows of one key."""

    sent: int = 0
    ids: set[str] = field(default_factory=set)  # of the answers: one, or the promise is broken
    refused: list[int] = field(default_factory=list)  # statuses other than 202 on the way
    acked_at_s: float = 0.0
    sent_at_s: float = 0.0  # the first time

    @property
    def acked(self) -> bool:
        return bool(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One event to publish."""

    key: str
    data: dict[str, Any]
    object_id: str | None = None
    type: str = EVENT_TYPE


class Publisher:
    """Publishes items over many connections and keeps the journal of it."""

    def __init__(self, port: int, path: str, key: str, *, pause_s: float = 0.0) -> None:
        """Take where the server is, the merchant's path, its API key.

        *pause_s* is from one event of a connection to its next; 0: as fast as answers come.
        """
        self.journal: dict[str, Entry] = {}
        self.in_flight = 0
        self.acked = 0
        self.broken_off = 0  # requests whose connection ended without an answer
        self._pause_s = pause_s
        self._changed = asyncio.Event()
        self._port = port
        self._head = (
            f"POST {path}/events HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"content-type: application/json\r\nauthorization: Bearer {key}\r\n"
        )

    async def run(self, lists: Iterable[Iterable[Item]]) -> None:
        """Publish every list on a connection of its own: each in its order, all at once."""
        async with asyncio.TaskGroup() as group:
            for items in lists:
                group.create_task(self._publish_all(iter(items)))

    async def until(self, enough: Callable[[], bool]) -> None:
        """Return when what was told and what is under way are enough."""
        while not enough():
            self._changed.clear()
            await self._changed.wait()

    async def _publish_all(self, items: Iterator[Item]) -> None:
        connection: _Connection | None = None
        due_s = time.monotonic()
        for item in items:
            if self._pause_s:
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                due_s += self._pause_s
            entry = self.journal.setdefault(item.key, Entry())
            request = self._request(item)
            while True:
                try:
                    if connection is None:
                        connection = await _connect(self._port)
                    status, answer = await self._ask(connection, entry, request)
                except (OSError, asyncio.IncompleteReadError, TimeoutError):
                    _close(connection)
                    connection = None
                    await asyncio.sleep(_RETRY_S)
                    continue
                if status == 202:
                    self.acked += not entry.acked
                    entry.ids.add(answer["id"])
                    entry.acked_at_s = time.monotonic()
                    self._changed.set()
                    break
                entry.refused.append(status)
                assert status in {409, 429, 503}, f"{status} {answer}"
                _close(connection)
                connection = None
                await asyncio.sleep(_RETRY_S)
        _close(connection)

    async def _ask(
        self, connection: "_Connection", entry: Entry, request: bytes
    ) -> tuple[int, dict[str, Any]]:
        reader, writer = connection
        self.in_flight += 1
        try:
            entry.sent += 1
            if entry.sent == 1:
                entry.sent_at_s = time.monotonic()
            self._changed.set()
            writer.write(request)
            async with asyncio.timeout(_ANSWER_S_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
        except (OSError, asyncio.IncompleteReadError):
            self.broken_off += 1
            raise
        finally:
            self.in_flight -= 1
        return int(head[9:12]), json.loads(body)

    def _request(self, item: Item) -> bytes:
        event: dict[str, Any] = {"type": item.type, "data": item.data}
        if item.object_id is not None:
            event["object"] = {"type": "payment", "id": item.object_id}
        body = json.dumps(event).encode()
        head = f"{self._head}idempotency-key: {item.key}\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body


_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _connect(port: int) -> _Connection:
    return await asyncio.open_connection("127.0.0.1", port)


def _close(connection: _Connection | None) -> None:
    if connection is not None:
        connection[1].close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0

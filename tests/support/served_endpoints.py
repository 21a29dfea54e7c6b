"""A served process and what a merchant sees of its endpoints, for tests that misbehave."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.support.server import SERVE, Api, Json, Server, Tenant, sqlite_url

Found = TypeVar("Found")

_POLL_S: Final = 0.02
_S_MAX: Final = 20.0
# Slow enough that no second attempt falls into a test that waits for the first.
LATER: Final = [600, 600, 600]


@contextmanager
def served(
    environment: Mapping[str, str] | None = None, *, command: Sequence[str] = SERVE
) -> Iterator[Server]:
    """Yield a running server with a store of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="payhooks-endpoints-") as name,
        sqlite_url(Path(name)) as url,
    ):
        server = Server(Path(name) / "server", url, environment=environment, command=command)
        try:
            yield server.start()
        finally:
            server.close()


async def until(
    ask: Callable[[], Awaitable[Found]], enough: Callable[[Found], Any], *, s: float = _S_MAX
) -> Found:
    """Return what was found once it is enough; fails with the last when it does not become so."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + s
    while not enough(found := await ask()):
        assert loop.time() < ends_s, found
        await asyncio.sleep(_POLL_S)
    return found


class Merchant:
    """A merchant of the server. Calls run in threads, so that the test's receivers go on."""

    def __init__(self, server: Server) -> None:
        self.tenant = Tenant(Api(server.port))
        self._api = self.tenant.api

    async def endpoint(self, url: str, **fields: object) -> str:
        """Make an endpoint that tries once in ten minutes, unless *fields* say otherwise."""
        fields = {"retry_policy": LATER, **fields}
        return await asyncio.to_thread(lambda: self.tenant.endpoint(url, **fields))

    async def publish(self, count: int = 1, **fields: object) -> list[str]:
        """Publish so many events in one call; return their ids."""
        type_ = fields.pop("type", "payment_succeeded")
        events = [{"type": type_, "data": {"n": number}, **fields} for number in range(count)]
        path = f"{self.tenant.path}/events/batch"
        said = await asyncio.to_thread(self._api.post, path, {"events": events})
        return [each["id"] for each in said["data"]]

    async def get(self, path: str = "") -> Json:
        return await asyncio.to_thread(self._api.get, self.tenant.path + path)

    async def call(self, method: str, path: str, body: Json | None = None) -> None:
        await asyncio.to_thread(self._api.call, method, self.tenant.path + path, body)

    async def metrics(self) -> str:
        """Return what the server counts."""
        said = await asyncio.to_thread(self._api.get, "/metrics")
        text: str = said["text"]
        return text

    async def deliveries(self, endpoint: str, **filters: str) -> list[Json]:
        """Return deliveries of an endpoint, the newest hundred."""
        more = "".join(f"&{name}={value}" for name, value in filters.items())
        page = await self.get(f"/deliveries?limit=100&endpoint_id={endpoint}{more}")
        found: list[Json] = page["data"]
        return found

    async def attempted(self, endpoint: str, *, times: int = 1) -> Json:
        """Return the endpoint's only delivery when so many attempts of it are written down."""
        listed = await until(lambda: self.deliveries(endpoint), lambda found: len(found) == 1)
        path = f"/deliveries/{listed[0]['id']}"
        return await until(lambda: self.get(path), lambda found: len(found["attempts"]) >= times)

    async def endpoint_once(self, endpoint: str, status: str) -> Json:
        """Return the endpoint when it has this status."""
        path = f"/endpoints/{endpoint}"
        return await until(lambda: self.get(path), lambda found: found["status"] == status)

"""Order, sending again, and rotation while much is under way. Rows F64, F66 and F68."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from tests.outside.verify_standard import is_signed_by
from tests.support.receiver import Receiver, Reception, answer_bytes
from tests.support.receiving import until
from tests.support.server import Api, Json, Refused, Server, Tenant, sqlite_url

ENDPOINTS = 64
UNDER_WAY = 1_000
GRACE_S = 6


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came, to be verified when the secrets are known."""

    at_s: float
    path: str
    headers: Mapping[str, str]
    body: bytes

    def verifies(self, secret: str) -> bool:
        return is_signed_by(secret, self.headers, self.body)


class Gated(Receiver):
    """Keeps requests whole, and answers when its gate is open: 200, or what ``status`` says."""

    def __init__(self) -> None:
        super().__init__(self._behave)
        self.seen: list[Seen] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.status: dict[str, int] = {}  # by the key of the event, or else by path

    def note(self, path: str, headers: Mapping[str, str], body: bytes) -> Reception:
        self.seen.append(Seen(time.monotonic(), path, dict(headers), body))
        return super().note(path, headers, body)

    def keys(self, path: str) -> list[str]:
        return [each.data["key"] for each in self.received if each.path == path]

    async def _behave(self, reception: Reception) -> bytes:
        await self.gate.wait()
        by_path = self.status.get(reception.path, 200)
        return answer_bytes(self.status.get(reception.data["key"], by_path))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("turns")
    with ExitStack() as stack:
        server = Server(folder / "server", stack.enter_context(sqlite_url(folder)))
        stack.callback(server.close)
        yield server.start()


@pytest.fixture
async def receiver() -> AsyncIterator[Gated]:
    receiver = Gated()
    await receiver.start()
    yield receiver
    await receiver.close()


async def _tenant(server: Server) -> Tenant:
    return await asyncio.to_thread(Tenant, Api(server.port))


async def _publish(tenant: Tenant, key: str, **members: object) -> None:
    await asyncio.to_thread(tenant.publish, {"key": key}, key=key, **members)


async def _deliveries(tenant: Tenant, **members: object) -> list[Json]:
    """Return the merchant's deliveries once all of them are so."""

    def ask() -> list[Json]:
        return list(tenant.api.pages(f"{tenant.path}/deliveries"))

    def is_right(found: list[Json]) -> bool:
        return bool(found) and all(members.items() <= each.items() for each in found)

    return await asyncio.to_thread(until, ask, is_right)


@pytest.mark.shows("F64")
@pytest.mark.parametrize("on_failed", ["skip", "block"])
async def test_only_the_object_of_a_failing_head_waits(
    server: Server, receiver: Gated, on_failed: str
) -> None:
    """A refund must not arrive before its payment, nor wait for somebody else's."""
    tenant = await _tenant(server)
    path = f"/{on_failed}"
    endpoint = await asyncio.to_thread(
        tenant.endpoint,
        receiver.url(path),
        ordering="object",
        on_failed=on_failed,
        retry_policy=[1],
    )
    receiver.status["a1"] = 503
    for key in ("a1", "a2", "b1"):
        await _publish(tenant, key, object={"type": "payment", "id": key[0]})
    await receiver.until(lambda _: receiver.keys(path).count("a1") == 2)
    if on_failed == "skip":
        await receiver.until(lambda _: "a2" in receiver.keys(path))
    assert receiver.keys(path)[-2:] == (["a1", "a2"] if on_failed == "skip" else ["b1", "a1"])
    assert receiver.keys(path).index("b1") < 3
    if on_failed == "block":
        found = await asyncio.to_thread(
            tenant.api.get, f"{tenant.path}/deliveries?endpoint_id={endpoint}&status=blocked"
        )
        assert len(found["data"]) == 1


@pytest.mark.shows("F66")
async def test_twenty_who_send_it_again_at_once_cause_one_request(
    server: Server, receiver: Gated
) -> None:
    """A person who clicks twice, and a colleague: it is one delivery, with one owner."""
    tenant = await _tenant(server)
    await asyncio.to_thread(tenant.endpoint, receiver.url("/again"), retry_policy=[3_600])
    receiver.status["/again"] = 503
    await _publish(tenant, "k")
    [found] = await _deliveries(tenant, attempts_made=1, status="scheduled")
    receiver.status.clear()
    receiver.gate.clear()

    def again() -> Json | None:
        try:
            return tenant.api.post(f"{tenant.path}/deliveries/{found['id']}/retry")
        except Refused as refused:
            if refused.status != 409:
                raise
            return None

    done = await asyncio.gather(*(asyncio.to_thread(again) for _ in range(20)))
    assert any(done)
    await receiver.until(lambda received: len(received) >= 2)
    receiver.gate.set()
    await _deliveries(tenant, status="delivered")
    assert len(receiver.received) == 2


@pytest.mark.shows("F68")
async def test_a_thousand_attempts_under_way_verify_through_two_rotations(
    server: Server, receiver: Gated
) -> None:
    """Whoever verifies with the old secret during the grace, or the new one after it, is right."""
    # Two merchants, as none has all that a process sends at once.
    shops = [await _shop(server, receiver, path) for path in ("/a", "/b")]
    receiver.gate.clear()
    for shop, events in zip(shops, (14, 3), strict=True):
        for number in range(events):
            await _publish(shop.tenant, f"before {number}")
    await receiver.until(lambda received: len(received) >= UNDER_WAY + len(shops) * ENDPOINTS)
    for _ in range(2):
        for shop in shops:
            await shop.rotate()
    rotated_s = time.monotonic()
    receiver.gate.set()
    for shop in shops:
        await _publish(shop.tenant, "after")
    count = (1 + 14 + 1 + 1 + 3 + 1) * ENDPOINTS
    await receiver.until(lambda received: len(received) == count)
    for seen in receiver.seen:
        if seen.at_s < rotated_s + GRACE_S - 2:
            assert _verifies(shops, seen)[0]
    assert all(_verifies(shops, seen)[-1] for seen in receiver.seen[-ENDPOINTS:])
    await asyncio.sleep(max(0.0, rotated_s + GRACE_S + 0.5 - time.monotonic()))
    for shop in shops:
        await _publish(shop.tenant, "when the grace is over")
    await receiver.until(lambda received: len(received) == count + len(shops) * ENDPOINTS)
    for seen in receiver.seen[count:]:
        assert _verifies(shops, seen) == [False, False, True]


@dataclass(frozen=True, slots=True)
class Shop:
    """A merchant with ENDPOINTS endpoints below a path, and the secrets it has had."""

    path: str
    tenant: Tenant
    secrets: list[str]

    async def rotate(self) -> None:
        place = f"{self.tenant.path}/signature-key/rotate"
        made = await asyncio.to_thread(self.tenant.api.post, place, {"grace_s": GRACE_S})
        self.secrets.append(str(made["secret"]))


async def _shop(server: Server, receiver: Gated, path: str) -> Shop:
    tenant = await _tenant(server)
    for number in range(ENDPOINTS):
        await asyncio.to_thread(
            tenant.endpoint,
            receiver.url(f"{path}/{number}"),
            signature={"type": "signature_key"},
            timeout_s=45,
        )
    shown = await asyncio.to_thread(tenant.api.get, f"{tenant.path}/signature-key")
    # One first: an endpoint that has answered may have more under way.
    await _publish(tenant, "first")
    await _deliveries(tenant, status="delivered")
    return Shop(path=path, tenant=tenant, secrets=[str(shown["data"][0]["secret"])])


def _verifies(shops: list[Shop], seen: Seen) -> list[bool]:
    [secrets] = [shop.secrets for shop in shops if seen.path.startswith(shop.path)]
    return [seen.verifies(secret) for secret in secrets]

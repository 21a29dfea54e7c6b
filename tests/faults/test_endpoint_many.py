"""Thousands of endpoints, or one merchant's flood, at the size that the matrix names."""

import asyncio
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from tests.support.netns import namespace
from tests.support.receiver import Receiver, Reception, answer_bytes
from tests.support.served_endpoints import Merchant, served, until
from tests.support.server import Server
from tests.support.soak import OtherProcess, receiver_process

from payhooks import limits
from payhooks.policy.breaker import FAILURES_TO_OPEN, JITTER_RATIO, REST_S_MIN

pytestmark = pytest.mark.long

LOST = "10.66.0.0/16"
DEAD = 5_000
DEAD_EVENTS = 8  # for each of them
WARM_UP_S = 3.0  # until each was looked at once
MEASURED = 100  # of the healthy ones, each kind
PAUSE_S = 0.1
# Below it the machine's own hiccups are all there is to see.
NOTICED_S = 0.25

BACKLOG = 10_000
SLOW_S = 30.0
GROWTH_KIB_MAX = 60 * 1024

FLOOD = 100_000
FLOOD_ENDPOINTS = 10
QUIET = 10


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="payhooks-many-") as name:
        yield Path(name)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = await Receiver().start()
    yield receiver
    await receiver.close()


@pytest.mark.shows("F53")
def test_five_thousand_black_holes_beside_a_healthy_endpoint(folder: Path) -> None:
    """Each costs its own lane: those that answer do not notice, leased or handed off."""
    with (
        namespace() as host,
        host.entered(),
        receiver_process(folder / "journal") as receiver,
        served({"PAYHOOKS_EGRESS_ALLOW": f"127.0.0.1/32 {LOST}"}) as server,
    ):
        host.lose(LOST)
        asyncio.run(_beside_black_holes(server, receiver))


async def _beside_black_holes(server: Server, receiver: OtherProcess) -> None:
    merchant, other = Merchant(server), Merchant(server)
    await other.endpoint(receiver.url("/ok/free"), events=["free"])
    await other.endpoint(receiver.url("/ok/ordered"), events=["ordered"], ordering="object")
    alone_s = await _late_s(other, receiver, "alone")
    for number in range(DEAD):
        address = f"10.66.{number // 250}.{number % 250 + 1}"
        await merchant.endpoint(f"http://{address}/", events=["dead"])
    await merchant.publish(DEAD_EVENTS, type="dead")
    await asyncio.sleep(WARM_UP_S)
    beside_s = await _late_s(other, receiver, "beside")
    assert beside_s <= max(2 * alone_s, NOTICED_S)


async def _late_s(merchant: Merchant, receiver: OtherProcess, tag: str) -> float:
    """Return the 99th percentile from publishing to arrival."""
    sent_s: dict[str, float] = {}
    for number in range(MEASURED):
        for type_ in ("free", "ordered"):
            key = f"{tag}-{type_}-{number}"
            sent_s[key] = time.monotonic()
            data = {"key": key}
            await asyncio.to_thread(
                merchant.tenant.api.post,
                f"{merchant.tenant.path}/events",
                {"type": type_, "data": data, "object": {"type": "payment", "id": key}},
            )
        await asyncio.sleep(PAUSE_S)

    async def received() -> Sequence[Reception]:
        found = await asyncio.to_thread(receiver.received)
        return [each for each in found if each.data["key"] in sent_s]

    found = await until(received, lambda found: len(found) >= len(sent_s))
    took_s = sorted(each.at_s - sent_s[each.data["key"]] for each in found)
    return took_s[len(took_s) * 99 // 100]


@pytest.mark.shows("F54")
async def test_ten_thousand_events_for_an_endpoint_that_takes_half_a_minute(
    receiver: Receiver,
) -> None:
    """A few requests at once; the rest is in the store, where it costs no memory."""
    with served() as server:
        merchant = await asyncio.to_thread(Merchant, server)
        url = receiver.url(f"/slow/one?s={SLOW_S}")
        endpoint = await merchant.endpoint(url, timeout_s=limits.TIMEOUT_S_MAX)
        before_kib = _resident_kib(server)
        for _ in range(BACKLOG // limits.BATCH_EVENTS_MAX):
            await merchant.publish(limits.BATCH_EVENTS_MAX)
        first_s = (await _when(receiver, 1))[0]
        await _when(receiver, limits.IN_FLIGHT_PER_UNPROVEN_LANE)
        await until(
            lambda: merchant.deliveries(endpoint, status="delivered"),
            bool,
            s=SLOW_S + 15,
        )
        at_s = await _when(receiver, limits.IN_FLIGHT_PER_LANE)
        first_round = [at for at in at_s if at < first_s + SLOW_S]
        assert len(first_round) == limits.IN_FLIGHT_PER_UNPROVEN_LANE
        assert len(receiver.received) <= len(first_round) + limits.IN_FLIGHT_PER_LANE
        assert _resident_kib(server) - before_kib < GROWTH_KIB_MAX


async def _when(receiver: Receiver, count: int) -> list[float]:
    await receiver.until(lambda got: len(got) >= count, s=SLOW_S + 15)
    return [each.at_s for each in receiver.received]


def _resident_kib(server: Server) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text("utf-8")
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1])


@pytest.mark.shows("F55")
async def test_five_thousand_endpoints_that_died_together_recover_together() -> None:
    """One probe each, spread over the jitter of their rests; then all of it is delivered."""
    works = False
    failed: Counter[str] = Counter()
    probed_s: dict[str, float] = {}
    died_s: dict[str, float] = defaultdict(float)

    async def answering(reception: Reception) -> bytes:
        if works:
            probed_s.setdefault(reception.path, reception.at_s)
            return answer_bytes()
        failed[reception.path] += 1
        died_s[reception.path] = reception.at_s
        return answer_bytes(503)

    receiver = await Receiver(answering).start()
    try:
        with served() as server:
            merchant = await asyncio.to_thread(Merchant, server)
            for number in range(DEAD):
                url = receiver.url(f"/{number}")
                await merchant.endpoint(url, events=["paid"], retry_policy=[5] * 20)
            await merchant.publish(FAILURES_TO_OPEN + 1, type="paid")
            await receiver.until(lambda _: len(failed) == DEAD, s=60)
            await receiver.until(lambda _: min(failed.values()) >= FAILURES_TO_OPEN, s=60)
            works = True
            await receiver.until(lambda _: len(probed_s) == DEAD, s=120)
            for status in ("scheduled", "sending", "failed"):
                path = f"/deliveries?status={status}&event_type=paid&limit=1"
                await until(lambda p=path: merchant.get(p), lambda page: not page["data"], s=120)  # type: ignore[misc] # Bound now.
    finally:
        await receiver.close()
    # Two rounds had left when the fifth failure of each was known; a probe each may have failed.
    assert max(failed.values()) <= FAILURES_TO_OPEN + limits.IN_FLIGHT_PER_UNPROVEN_LANE
    rested_s = [probed_s[path] - died_s[path] for path in probed_s]
    spread_s = max(probed_s.values()) - min(probed_s.values())
    assert min(rested_s) >= REST_S_MIN - 2
    assert spread_s >= REST_S_MIN * JITTER_RATIO / 2
    a_second = Counter(int(at_s) for at_s in probed_s.values())
    assert max(a_second.values()) <= DEAD / 2


@pytest.mark.shows("F56")
async def test_a_flood_of_one_merchant_does_not_reach_another(folder: Path) -> None:
    """A hundred thousand against ten: the ten arrive as if they were alone."""
    with receiver_process(folder / "journal") as receiver, served() as server:
        noisy = await asyncio.to_thread(Merchant, server)
        quiet = await asyncio.to_thread(Merchant, server)
        for number in range(FLOOD_ENDPOINTS):
            url = receiver.url(f"/slow/{number}?s=0.05")
            await noisy.endpoint(url, events=[f"flood.{number}"])
        await quiet.endpoint(receiver.url("/ok"), events=["free", "ordered"], ordering="object")

        async def flood() -> None:
            for batch in range(FLOOD // limits.BATCH_EVENTS_MAX):
                type_ = f"flood.{batch % FLOOD_ENDPOINTS}"
                await noisy.publish(limits.BATCH_EVENTS_MAX, type=type_)

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(1)
        sent_s = {}
        for number in range(QUIET):
            [id_] = await quiet.publish(type="free", metadata={"n": number})
            sent_s[id_] = time.monotonic()
            await asyncio.sleep(0.5)

        async def received() -> Sequence[Reception]:
            found = await asyncio.to_thread(receiver.received)
            return [each for each in found if each.path == "/ok"]

        found = await until(received, lambda found: len(found) == QUIET)
        late_s = max(each.at_s - at_s for each, at_s in zip(found, sent_s.values(), strict=True))
        assert late_s < 1
        await flooding

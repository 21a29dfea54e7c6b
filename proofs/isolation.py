"""Endpoints that hang cost only themselves."""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from tests.support.publisher import Item, Publisher
from tests.support.receiver import Reception

from proofs.ground import Ground, Size, Store, ground
from proofs.lines import Line

# Far from saturation, where the machine would be what is measured.
HEALTHY_PER_S: Final = 150
HANGING_PER_S: Final = 60
CONNECTIONS: Final = 5
WARM_UP_S: Final = 3
_ARRIVE_S_MAX: Final = 60.0


def prove(store: Store, size: Size) -> Iterator[Line]:
    """Show the latency of healthy endpoints beside ones that hang, and without them."""
    alone_ms, alone = _measure(store, size, hanging=0)
    beside_ms, beside = _measure(store, size, hanging=size.hanging)
    yield Line(
        passed=beside_ms <= 2 * alone_ms and alone == beside,
        name=f"{store.name}: {size.hanging} endpoints hang: p99 of {size.healthy} healthy ones",
        figure=f"{beside_ms:.1f} ms, alone {alone_ms:.1f} ms",
        limit=f"<= {2 * alone_ms:.1f} ms",
    )


def _measure(store: Store, size: Size, *, hanging: int) -> tuple[float, int]:
    """Return the 99th percentile in ms from publishing to arrival, and how many arrived."""
    with ground(store) as on:
        for number in range(size.healthy):
            on.tenant.endpoint(on.receiver.url(f"/ok/{number}"), events=[f"ok.{number}"])
        for number in range(hanging):
            on.tenant.endpoint(on.receiver.url(f"/hang/{number}"), events=[f"hang.{number}"])
        seconds = WARM_UP_S + size.healthy_s
        healthy = _publisher(on, HEALTHY_PER_S)
        counts = {"ok": HEALTHY_PER_S * seconds, "hang": HANGING_PER_S * seconds}
        asyncio.run(_publish(on, healthy, counts, endpoints={"ok": size.healthy, "hang": hanging}))
        received = _received(on, counts["ok"])
        sent_at_s = {key: entry.sent_at_s for key, entry in healthy.journal.items()}
        begins_s = min(sent_at_s.values()) + WARM_UP_S
        took_ms = sorted(
            (each.at_s - sent_at_s[each.data["key"]]) * 1e3
            for each in received
            if sent_at_s[each.data["key"]] >= begins_s
        )
        return took_ms[len(took_ms) * 99 // 100], len(received)


def _publisher(on: Ground, per_s: int) -> Publisher:
    return Publisher(on.server.port, on.tenant.path, on.tenant.key, pause_s=CONNECTIONS / per_s)


async def _publish(
    on: Ground, healthy: Publisher, counts: dict[str, int], *, endpoints: dict[str, int]
) -> None:
    """Publish for every endpoint in turn, to those that hang beside the others."""
    async with asyncio.TaskGroup() as group:
        group.create_task(healthy.run(_lists("ok", counts["ok"], endpoints["ok"])))
        if endpoints["hang"]:
            others = _publisher(on, HANGING_PER_S)
            group.create_task(others.run(_lists("hang", counts["hang"], endpoints["hang"])))


def _lists(word: str, events: int, endpoints: int) -> list[list[Item]]:
    items = [
        Item(
            key=f"{word}-{number}",
            data={"key": f"{word}-{number}"},
            type=f"{word}.{number % endpoints}",
        )
        for number in range(events)
    ]
    return [items[connection::CONNECTIONS] for connection in range(CONNECTIONS)]


def _received(on: Ground, expected: int) -> list[Reception]:
    """Return what the healthy ones got, when that is everything or does not become so."""
    ends_s = time.monotonic() + _ARRIVE_S_MAX
    while True:
        found = [each for each in on.receiver.received() if each.path.startswith("/ok")]
        if len(found) >= expected or time.monotonic() > ends_s:
            return found
        time.sleep(0.2)

"""Everything that was accepted arrives, verifies, is listed; and what is missing is found."""

import asyncio
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import asyncpg  # type: ignore[import-untyped] # It ships no types.
from tests.support.publisher import Entry, Item, Publisher
from tests.support.server import EVENT_TYPE
from tests.support.soak import wait_until_settled

from payhooks import ids
from proofs.ground import Ground, Size, Store, ground
from proofs.lines import Line, exactly

ENDPOINTS: Final = 3
REPEATED_EVERY: Final = 20  # 5 %
CONNECTIONS: Final = 64
_SETTLE_S_MAX: Final = 600.0


def prove(store: Store, size: Size) -> Iterator[Line]:
    """Show that many events reach every endpoint, and that reconcile tells the truth."""
    with ground(store) as on:
        paths = [f"/ok/{number}" for number in range(ENDPOINTS)]
        for path in paths:
            on.tenant.endpoint(on.receiver.url(path))
        on.receiver.learn(on.tenant.secrets)
        publisher = Publisher(on.server.port, on.tenant.path, on.tenant.key)
        begun_s = time.monotonic()
        asyncio.run(publisher.run(_lists(size.events)))
        took_s = time.monotonic() - begun_s
        wait_until_settled(on.tenant, s=_SETTLE_S_MAX)
        yield from _arrived(on, publisher.journal, paths, size, took_s)
        yield from _listed(on, publisher.journal)
        yield from _reconciled(on, size)


def _lists(events: int) -> list[list[Item]]:
    """Return what each connection publishes; every twentieth key is published again."""
    lists: list[list[Item]] = [[] for _ in range(CONNECTIONS)]
    for number in range(events):
        item = Item(key=f"k{number}", data={"key": f"k{number}", "amount": "12.50"})
        lists[number % CONNECTIONS].append(item)
        if number % REPEATED_EVERY == 0:
            # By another connection too, so that the two may meet.
            lists[(number + 1) % CONNECTIONS].append(item)
    return lists


def _arrived(
    on: Ground, journal: dict[str, Entry], paths: list[str], size: Size, took_s: float
) -> Iterator[Line]:
    received = on.receiver.received()
    name = f"{on.store.name}: {size.events:,} events with keys, 5 % repeated"
    answers = {id_ for entry in journal.values() for id_ in entry.ids}
    one_answer = sum(len(entry.ids) == 1 for entry in journal.values())
    rate = sum(entry.sent for entry in journal.values()) / took_s
    yield Line(
        passed=one_answer == len(answers) == size.events,
        name=f"{name}: one id per key",
        figure=f"{len(answers):,} ids, {rate:,.0f} requests/s",
        limit=f"= {size.events:,}",
    )
    got = {(each.path, each.data["key"]) for each in received}
    expected = {(path, key) for path in paths for key in journal}
    yield exactly(f"{name}: arrived at {len(paths)} endpoints", len(got & expected), len(expected))
    yield exactly(f"{name}: received twice or not published", len(received) - len(expected), 0)
    verified = sum(each.verified for each in received)
    yield exactly(f"{name}: verified by foreign code", verified, len(received))


def _listed(on: Ground, journal: dict[str, Entry]) -> Iterator[Line]:
    name = f"{on.store.name}: listed by the API"
    path = f"{on.tenant.path}/events?type={EVENT_TYPE}"
    listed = {each["data"]["key"]: each["id"] for each in on.tenant.api.pages(path)}
    right = sum(listed.get(key) in entry.ids for key, entry in journal.items())
    yield exactly(f"{name}: events", right, len(journal))
    path = f"{on.tenant.path}/deliveries?status=delivered&event_type={EVENT_TYPE}"
    delivered = sum(1 for _ in on.tenant.api.pages(path))
    yield exactly(f"{name}: delivered", delivered, len(journal) * ENDPOINTS)


def _reconciled(on: Ground, size: Size) -> Iterator[Line]:
    name = f"{on.store.name}: reconcile"
    on.server.stop()
    report = on.reconcile()
    sides = [sum(hour[each] for hour in report["hours"]) for each in ("expected", "delivered")]
    yield Line(
        passed=report["equal"] and sides == [size.events * ENDPOINTS] * 2,
        name=f"{name}: both sides",
        figure=f"{sides[0]:,} selected, {sides[1]:,} delivered",
        limit="equal",
    )
    event_id, key = _delete_one(on)
    report = on.reconcile()
    named = [(each["kind"], each["event"]) for each in report["differences"]]
    right = named == [("missing", event_id)]
    yield Line(
        passed=right and not report["equal"],
        name=f"{name}: names a delivery deleted by SQL",
        figure=f"{len(named)} named, {'that one' if right else 'not that one'}",
        limit="that one",
    )
    report = on.reconcile(repair=True)
    yield exactly(f"{name} --repair: makes it", report["repaired"], 1)
    before = on.receiver.count()
    on.server.start()
    wait_until_settled(on.tenant)
    again = [each for each in on.receiver.received()[before:] if each.data.get("key") == key]
    yield exactly(f"{name} --repair: it arrives and verifies", sum(e.verified for e in again), 1)


def _delete_one(on: Ground) -> tuple[str, str]:
    """Delete one delivery by SQL; return the id and the key of its event."""
    on.server.start()
    path = f"{on.tenant.path}/deliveries?event_type={EVENT_TYPE}&limit=1"
    [delivery] = on.tenant.api.get(path)["data"]
    event = on.tenant.api.get(f"{on.tenant.path}/events/{delivery['event_id']}")
    on.server.stop()
    raw = ids.from_text(ids.DELIVERY, delivery["id"])
    assert raw is not None
    if on.store.cluster_url is None:
        with closing(sqlite3.connect(on.server.sqlite_path)) as connection, connection:
            connection.execute("DELETE FROM deliveries WHERE id = ?", (raw,))
    else:
        asyncio.run(_delete_in_postgres(on.database_url, uuid.UUID(bytes=raw)))
    return event["id"], event["data"]["key"]


async def _delete_in_postgres(url: str, delivery_id: uuid.UUID) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("DELETE FROM deliveries WHERE id = $1", delivery_id)
    await connection.close()

"""What every store must do with connectors: one live name, in the routing, counted."""

from datetime import timedelta

import msgspec
import pytest
from tests.support.inbound import Inbound
from tests.support.world import World

from payhooks.errors import StaleVersionError, WrongStateError
from payhooks.ids import ConnectorId
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import ASKED, Verdict
from payhooks.model.secret import SecretPurpose
from payhooks.ports.controlling import Change, Window
from payhooks.ports.receiving import ConnectorHealth

pytestmark = pytest.mark.shows("N11")

ALL = Window(limit=100)


@pytest.fixture
def inbound(world: World) -> Inbound:
    """Return the inbound half of each world."""
    return Inbound(world)


async def _routed(inbound: Inbound, merchant: Merchant) -> tuple[int, tuple[Connector, ...]]:
    [routing] = await inbound.store.routing([merchant.id])
    return routing.version, routing.connectors


async def test_a_connector_reads_back_as_it_was_written(inbound: Inbound) -> None:
    """Every setting of it; and to another merchant there is none."""
    merchant, stranger = await inbound.world.merchant(), await inbound.world.merchant()
    connector = await inbound.connector(
        merchant, options=(("legacy", "true"), ("x", "é")), events=("payment.*", "payin.create")
    )

    assert await inbound.store.connector(merchant.id, connector.id) == connector
    assert await inbound.store.connector(stranger.id, connector.id) is None
    assert await inbound.store.connector(merchant.id, ConnectorId(bytes(16))) is None
    assert await inbound.store.connectors(stranger.id, ALL) == []


async def test_connectors_are_listed_newest_first_without_deleted_ones(inbound: Inbound) -> None:
    """A deleted one is still found by its id: its receipts name it."""
    merchant = await inbound.world.merchant()
    first, gone, last = [await inbound.connector(merchant, name=name) for name in ("a", "b", "c")]
    gone = await inbound.edit(gone, status=ConnectorStatus.DELETED)
    disabled = await inbound.edit(first, status=ConnectorStatus.DISABLED)

    assert await inbound.store.connectors(merchant.id, ALL) == [last, disabled]
    assert await inbound.store.connectors(merchant.id, Window(limit=1)) == [last]
    assert await inbound.store.connectors(merchant.id, Window(limit=1, after=last.id)) == [disabled]
    assert await inbound.store.connector(merchant.id, gone.id) == gone


async def test_intake_sees_each_change_of_a_connector_by_the_routing_version(
    inbound: Inbound,
) -> None:
    """It verifies from memory, and must not go on with a secret that was taken away."""
    merchant, other = await inbound.world.merchant(), await inbound.world.merchant()
    before, connectors = await _routed(inbound, merchant)
    assert connectors == ()
    untouched = await _routed(inbound, other)

    connector = await inbound.connector(merchant)
    assert await _routed(inbound, merchant) == (before + 1, (connector,))
    connector = await inbound.edit(connector, status=ConnectorStatus.DISABLED)
    assert await _routed(inbound, merchant) == (before + 2, (connector,))
    await inbound.edit(connector, status=ConnectorStatus.DELETED)
    assert await _routed(inbound, merchant) == (before + 3, ())
    assert await _routed(inbound, other) == untouched


async def test_the_version_rises_in_whosever_name_a_connector_is_changed(inbound: Inbound) -> None:
    """An operator's change stands in the operator's chain, and is the merchant's all the same."""
    merchant = await inbound.world.merchant()
    before, _ = await _routed(inbound, merchant)
    connector = inbound.new_connector(merchant)
    await inbound.store.apply(Change(audit=inbound.world.audit(None), connector=connector))
    assert await _routed(inbound, merchant) == (before + 1, (connector,))


async def test_the_secrets_of_a_connector_are_routed_and_stay_sealed_when_it_is_gone(
    inbound: Inbound,
) -> None:
    """Whoever changes the key that seals must find them all."""
    world = inbound.world
    merchant = await world.merchant()
    connector = inbound.new_connector(merchant)
    kept = tuple(
        world.secret(merchant, connector.id, purpose=purpose)
        for purpose in (SecretPurpose.CONNECTOR, SecretPurpose.CONNECTOR_CREDENTIAL)
    )
    audit = world.audit(merchant.id)
    await world.store.apply(Change(audit=audit, connector=connector, secrets=kept))

    [routing] = await world.store.routing([merchant.id])
    assert set(routing.secrets) == set(kept)
    await inbound.edit(connector, status=ConnectorStatus.DELETED)
    found = await world.store.secrets_sealed_under_other(b"ring-two", limit=10)
    assert set(found) == set(kept)
    new = [msgspec.structs.replace(one, sealed=b"ring-two" + one.id) for one in found]
    assert await world.store.reseal(found, new) == 2
    assert set(await world.store.secrets(merchant.id, connector.id)) == set(new)


async def test_a_name_is_one_live_connectors_of_its_merchant(inbound: Inbound) -> None:
    """It is the last part of the URL: two would mean a provider's words at the wrong door."""
    merchant, other = await inbound.world.merchant(), await inbound.world.merchant()
    first = await inbound.connector(merchant, name="till")
    await inbound.connector(other, name="till")
    second = await inbound.connector(merchant, name="shop")

    with pytest.raises(WrongStateError):
        await inbound.connector(merchant, name="till")
    with pytest.raises(WrongStateError):
        await inbound.edit(second, name="till")
    assert await inbound.store.connector(merchant.id, second.id) == second

    gone = await inbound.edit(first, status=ConnectorStatus.DELETED)
    renamed = await inbound.edit(second, name="till")
    assert (await _routed(inbound, merchant))[1] == (renamed,)
    await inbound.edit(gone, events=("payment.*",))  # a deleted one takes nobody's name
    assert (await _routed(inbound, merchant))[1] == (renamed,)


async def test_a_name_is_not_taken_by_the_connector_that_has_it(inbound: Inbound) -> None:
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    edited = await inbound.edit(connector, dialect="treezor")
    assert await inbound.store.connector(merchant.id, connector.id) == edited


@pytest.mark.parametrize("version", [1, 3], ids=["made twice", "skips one"])
async def test_a_connector_version_that_does_not_follow_is_refused_whole(
    inbound: Inbound, version: int
) -> None:
    """Two people edit at once: the second must see what the first did."""
    merchant = await inbound.world.merchant()
    connector = await inbound.connector(merchant)
    routed = await _routed(inbound, merchant)

    stale = msgspec.structs.replace(connector, dialect="treezor", version=version)
    with pytest.raises(StaleVersionError):
        await inbound.write(stale)

    assert await inbound.store.connector(merchant.id, connector.id) == connector
    assert await _routed(inbound, merchant) == routed


async def test_how_connectors_fare_is_told_in_the_order_asked(inbound: Inbound) -> None:
    """What is verified and what is to be fetched counts as received, the rest as unverified.

    But for answers: nobody has sent them.
    """
    merchant, stranger = await inbound.world.merchant(), await inbound.world.merchant()
    busy = await inbound.connector(merchant, name="busy")
    quiet = await inbound.connector(merchant, name="quiet")
    signed = inbound.receipt(busy)
    fetched = inbound.receipt(busy, verdict=Verdict.FETCH)
    forged = inbound.forged(busy, body=b"12345")
    answer = inbound.receipt(busy, method=ASKED)
    await inbound.receive(fetched, forged, signed, answer)
    assert await inbound.stored(answer) == answer

    fares = ConnectorHealth(
        connector_id=busy.id,
        received=2,
        unverified=1,
        last_received_at=fetched.received_at,
        last_unverified_at=forged.received_at,
        quarantined=1,
        quarantined_bytes=5,
    )
    nothing = ConnectorHealth(connector_id=quiet.id)
    health = inbound.store.connector_health
    assert await health(merchant.id, [quiet.id, busy.id]) == [nothing, fares]
    assert await health(merchant.id, [busy.id, quiet.id]) == [fares, nothing]
    assert await health(stranger.id, [busy.id]) == [ConnectorHealth(connector_id=busy.id)]


async def test_counts_add_up_over_batches_and_the_last_time_never_goes_back(
    inbound: Inbound,
) -> None:
    """Two processes receive for one connector; their batches commit in any order."""
    connector = await inbound.connector(await inbound.world.merchant())
    early = inbound.receipt(connector)
    early_forged = inbound.forged(connector)
    await inbound.world.advance(timedelta(minutes=1).total_seconds())
    late, late_forged = inbound.receipt(connector), inbound.forged(connector)

    await inbound.receive(late, late_forged)
    await inbound.receive(early, early_forged)

    health = await inbound.health(connector)
    assert (health.received, health.unverified, health.quarantined) == (2, 2, 2)
    assert health.last_received_at == late.received_at
    assert health.last_unverified_at == late_forged.received_at

"""What ControlStore promises: one kind of write, checked, chained, and plain reads."""

from datetime import timedelta

import msgspec
import pytest
from tests.support.changes import written
from tests.support.world import World, events_of

from payhooks.errors import StaleVersionError, WrongStateError
from payhooks.ids import EndpointId
from payhooks.model.audit import BEGINNING, GENESIS, Mark, chain
from payhooks.model.endpoint import (
    Authentication,
    AuthenticationType,
    DisabledReason,
    EndpointStatus,
    Ordering,
    Signature,
    SignatureType,
)
from payhooks.model.event_type import EventType, Provenance
from payhooks.model.key import Scope
from payhooks.ports.controlling import Change, Window

PAGE = Window(limit=10)


async def test_a_merchant_reads_back_as_it_was_written(world: World) -> None:
    merchant = await world.merchant(
        reference="shop-7",
        families=("shop", "payhooks"),
        provider_ids=(("merch_key", "k1"),),
        account_id=b"a" * 16,
    )
    assert await world.store.merchant(merchant.id) == merchant
    assert await world.store.merchant("shop-7") == merchant
    assert await world.store.merchant("shop-8") is None


async def test_an_edited_merchant_is_found_by_its_new_reference_only(world: World) -> None:
    merchant = await world.merchant(reference="old")
    edited = msgspec.structs.replace(merchant, reference="new", version=2)
    await world.store.apply(Change(audit=world.audit(merchant.id), merchant=edited))
    assert await world.store.merchant("new") == edited
    assert await world.store.merchant("old") is None


async def test_a_reference_belongs_to_one_merchant(world: World) -> None:
    """It stands in URLs: two owners would mean money's news at the wrong door."""
    await world.merchant(reference="shop-7")
    other = await world.merchant()
    taken = msgspec.structs.replace(other, reference="shop-7", version=2)
    with pytest.raises(WrongStateError):
        await world.store.apply(Change(audit=world.audit(other.id), merchant=taken))
    with pytest.raises(WrongStateError):
        await world.merchant(reference="shop-7")
    assert await world.store.merchant(other.id) == other


async def test_an_edit_based_on_an_old_version_is_refused_whole(world: World) -> None:
    """Two people edit at once: the second must see what the first did."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    edited = await world.edit(endpoint, label="Counter")
    key = world.key(merchant.id)
    stale = msgspec.structs.replace(endpoint, label="Till", version=2)
    change = msgspec.structs.replace(written(stale, world.audit(merchant.id)), key=key)
    [before] = await world.store.routing([merchant.id])
    with pytest.raises(StaleVersionError):
        await world.store.apply(change)
    assert await world.store.endpoint(merchant.id, endpoint.id) == edited
    assert await world.store.keys(merchant.id, PAGE) == []
    assert len(await world.store.audit(merchant.id, after=0, limit=10)) == 3
    assert await world.store.routing([merchant.id]) == [before]


@pytest.mark.parametrize("version", [1, 3], ids=["made twice", "skips one"])
async def test_a_merchant_version_that_does_not_follow_is_refused(
    world: World, version: int
) -> None:
    merchant = await world.merchant()
    change = Change(
        audit=world.audit(merchant.id),
        merchant=msgspec.structs.replace(merchant, name="Other", version=version),
    )
    with pytest.raises(StaleVersionError):
        await world.store.apply(change)
    assert await world.store.merchant(merchant.id) == merchant


async def test_an_endpoint_reads_back_as_it_was_written(world: World) -> None:
    """Every setting: one that is lost on the way would surprise its merchant later."""
    merchant = await world.merchant()
    key = world.key(merchant.id, signing=True)
    endpoint = await world.endpoint(
        merchant,
        events=("payment.*", "refund.created"),
        api_version="2026-01",
        authentication=Authentication(type=AuthenticationType.BASIC, username="till"),
        signature=Signature(type=SignatureType.SOURCE_KEY, key_id=key.id),
        retry_delays_s=(1.5, 60.0),
        ordering=Ordering.OBJECT,
        rate_limit_per_s=2.5,
        timeout_s=20.0,
        headers=(("X-One", "1"), ("X-One", "2")),
    )
    assert await world.store.endpoint(merchant.id, endpoint.id) == endpoint


async def test_endpoint_numbers_are_never_given_twice(world: World) -> None:
    """They are the last bits of delivery ids: a second owner would inherit deliveries."""
    merchant = await world.merchant()
    other = await world.merchant()
    numbers = [await world.store.next_number(merchant.id) for _ in range(3)]
    endpoint = await world.endpoint(merchant)
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    numbers += [endpoint.number, await world.store.next_number(merchant.id)]
    assert numbers == [1, 2, 3, 4, 5]
    assert await world.store.next_number(other.id) == 1


async def test_another_merchants_endpoint_is_not_found(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    other = await world.merchant()
    assert await world.store.endpoint(other.id, endpoint.id) is None
    assert await world.store.endpoint(merchant.id, EndpointId(world.ids.new())) is None


async def test_a_deleted_endpoint_is_found_by_id_but_in_no_list(world: World) -> None:
    """Its deliveries still name it."""
    merchant = await world.merchant()
    kept = await world.endpoint(merchant)
    gone = await world.endpoint(merchant)
    gone = await world.edit(gone, status=EndpointStatus.DELETED)
    assert await world.store.endpoint(merchant.id, gone.id) == gone
    assert await world.store.endpoints(merchant.id, PAGE) == [kept]


async def test_lists_are_newest_first_and_go_on_after_the_last_id(world: World) -> None:
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(5)]
    newest_first = endpoints[::-1]
    first = await world.store.endpoints(merchant.id, Window(limit=3))
    rest = await world.store.endpoints(merchant.id, Window(limit=3, after=first[-1].id))
    assert first == newest_first[:3]
    assert rest == newest_first[3:]


async def test_merchants_are_listed_newest_first(world: World) -> None:
    merchants = [await world.merchant() for _ in range(3)]
    assert await world.store.merchants(Window(limit=2)) == merchants[:0:-1]
    after = Window(limit=2, after=merchants[1].id)
    assert await world.store.merchants(after) == merchants[:1]


async def test_disabling_keeps_the_backlog_and_enabling_lets_it_go(world: World) -> None:
    """What waits waits on; a person who mends the receiver gets it all."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint)
    endpoint = await world.edit(
        endpoint, status=EndpointStatus.DISABLED, disabled_reason=DisabledReason.FAILING
    )
    assert await world.lease() == []
    assert (await world.delivery(event, endpoint)).held
    await world.edit(endpoint, status=EndpointStatus.ACTIVE, disabled_reason=None)
    assert events_of(await world.lease()) == [event.id]


async def test_a_new_rate_limit_holds_from_the_next_look(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(5):
        await world.publish(merchant, endpoint)
    endpoint = await world.edit(endpoint, rate_limit_per_s=0.01)
    assert len(await world.lease()) == 1
    await world.edit(endpoint, rate_limit_per_s=None)
    assert len(await world.lease()) == 4


async def test_secrets_of_an_owner_are_listed_newest_first(world: World) -> None:
    merchant = await world.merchant()
    owner = world.ids.new()
    old = world.secret(merchant, owner, expires_at=world.now() - timedelta(days=1))
    await world.advance(1)
    new = world.secret(merchant, owner)
    foreign = world.secret(merchant, world.ids.new())
    await world.store.apply(Change(audit=world.audit(merchant.id), secrets=(old, new, foreign)))
    assert await world.store.secrets(merchant.id, owner) == [new, old]


async def test_a_secret_is_replaced_and_forgotten_by_its_id(world: World) -> None:
    merchant = await world.merchant()
    secret = world.secret(merchant, merchant.id)
    rotated = msgspec.structs.replace(secret, expires_at=world.now() + timedelta(days=1))
    audit = world.audit(merchant.id)
    await world.store.apply(Change(audit=audit, secrets=(secret,)))
    await world.store.apply(Change(audit=audit, secrets=(rotated,)))
    assert await world.store.secrets(merchant.id, merchant.id) == [rotated]
    await world.store.apply(Change(audit=audit, forget_secrets=(secret.id,)))
    assert await world.store.secrets(merchant.id, merchant.id) == []


async def test_the_end_of_a_secret_never_brings_it_back_nor_comes_later(world: World) -> None:
    """Two people rotate at once: what one of them revoked stays so, and the first end holds."""
    merchant = await world.merchant()
    revoked, ending, resealed = [world.secret(merchant, merchant.id) for _ in range(3)]
    audit = world.audit(merchant.id)
    await world.store.apply(Change(audit=audit, secrets=(revoked, ending, resealed)))
    soon, later = [world.now() + timedelta(hours=hours) for hours in (1, 2)]
    sealed_anew = msgspec.structs.replace(resealed, sealed=b"ring-two" + bytes(40))
    await world.store.reseal([resealed], [sealed_anew])
    await world.store.apply(Change(audit=audit, forget_secrets=(revoked.id,)))
    for end in (soon, later):
        ended = [
            msgspec.structs.replace(each, expires_at=end) for each in (revoked, ending, resealed)
        ]
        await world.store.apply(Change(audit=audit, ending_secrets=tuple(ended)))
    kept = [msgspec.structs.replace(each, expires_at=soon) for each in (ending, sealed_anew)]
    found = await world.store.secrets(merchant.id, merchant.id)
    assert sorted(found, key=lambda secret: secret.id) == kept


async def test_resealing_replaces_only_what_is_still_as_it_was_read(world: World) -> None:
    """A secret that a person rotated meanwhile must not be put back."""
    merchant = await world.merchant()
    secrets = [world.secret(merchant, merchant.id) for _ in range(3)]
    audit = world.audit(merchant.id)
    await world.store.apply(Change(audit=audit, secrets=tuple(secrets)))
    found = await world.store.secrets_sealed_under_other(b"ring-two", limit=10)
    assert {one.id for one in found} == {one.id for one in secrets}
    changed = msgspec.structs.replace(found[0], sealed=b"ring-one, a person's")
    await world.store.apply(Change(audit=audit, secrets=(changed,)))
    new = [msgspec.structs.replace(one, sealed=b"ring-two" + one.id) for one in found]
    assert await world.store.reseal(found, new) == 2
    assert await world.store.secrets_sealed_under_other(b"ring-two", limit=10) == [changed]
    assert await world.store.secrets_sealed_under_other(b"ring-none", limit=2) != []
    assert len(await world.store.secrets_sealed_under_other(b"ring-none", limit=2)) == 2


async def test_a_key_is_found_by_its_digest_revoked_or_not(world: World) -> None:
    """Whether it still opens anything is decided above, so that the answer can say why."""
    merchant = await world.merchant()
    key = world.key(merchant.id, scopes=(Scope.EVENTS_WRITE, Scope.AUDIT_READ))
    revoked = msgspec.structs.replace(key, revoked_at=world.now())
    for version in (key, revoked):
        await world.store.apply(Change(audit=world.audit(merchant.id), key=version))
        assert await world.store.key_by_digest(key.digest) == version
    assert await world.store.key_by_digest(bytes(32)) is None


async def test_keys_of_merchants_and_of_the_operator_are_apart(world: World) -> None:
    merchant = await world.merchant()
    mine = [world.key(merchant.id) for _ in range(2)]
    operators = world.key(None, scopes=(Scope.OPERATOR,))
    for key in (*mine, operators):
        await world.store.apply(Change(audit=world.audit(key.merchant_id), key=key))
    assert await world.store.keys(merchant.id, PAGE) == mine[::-1]
    assert await world.store.keys(None, PAGE) == [operators]


async def test_every_change_leaves_one_chained_audit_entry(world: World) -> None:
    """So that an entry that was edited or removed shows."""
    merchant = await world.merchant()
    entries = [
        msgspec.structs.replace(
            world.audit(merchant.id, f"test.{number}"),
            changes=b'{"name": ["B\xc3\xa4cker", "Baker"]}',
            request_id="req_1",
            ip="192.0.2.7",
        )
        for number in range(3)
    ]
    for entry in entries:
        await world.store.apply(Change(audit=entry))
    kept = await world.store.audit(merchant.id, after=0, limit=10)
    assert [one.number for one in kept] == [1, 2, 3, 4]
    assert [one.entry for one in kept[1:]] == entries
    previous = GENESIS
    for one in kept:
        assert one.hash == chain(previous, one.number, one.entry)
        previous = one.hash


async def test_audit_entries_are_read_both_ways(world: World) -> None:
    merchant = await world.merchant()
    for number in range(4):
        await world.store.apply(Change(audit=world.audit(merchant.id, f"test.{number}")))
    upwards = await world.store.audit(merchant.id, after=1, limit=2)
    latest = await world.store.audit_latest(merchant.id, before=None, limit=2)
    earlier = await world.store.audit_latest(merchant.id, before=4, limit=2)
    assert [one.number for one in upwards] == [2, 3]
    assert [one.number for one in latest] == [5, 4]
    assert [one.number for one in earlier] == [3, 2]
    head = await world.store.audit_head(merchant.id)
    assert head == Mark(number=5, hash=latest[0].hash)
    assert await world.store.audit_head(None) == BEGINNING


async def test_the_operators_own_entries_have_their_own_chain(world: World) -> None:
    merchant = await world.merchant()
    await world.store.apply(Change(audit=world.audit(None), key=world.key(None)))
    [own] = await world.store.audit(None, after=0, limit=10)
    assert (own.number, own.entry.merchant_id) == (1, None)
    chains = await world.store.audit_chains()
    assert len(chains) == 2
    assert set(chains) == {merchant.id, None}


async def test_event_types_of_the_operator_are_listed_by_family_and_name(world: World) -> None:
    named = [("shop", "b"), ("shop", "a"), ("bank", "z")]
    types = [
        EventType(
            family=family,
            name=name,
            words="Something happened.",
            provenance=Provenance.OPERATOR,
            schema=b'{"type":"object"}',
            created_at=world.now(),
        )
        for family, name in named
    ]
    for type_ in types:
        await world.store.apply(Change(audit=world.audit(None), event_type=type_))
    assert await world.store.event_types() == [types[2], types[1], types[0]]


async def test_an_event_type_is_made_once_and_edited_by_version(world: World) -> None:
    audit = world.audit(None)
    type_ = EventType(family="shop", name="a", words="One.", provenance=Provenance.OPERATOR)
    edited = msgspec.structs.replace(type_, words="Two.", version=2)
    await world.store.apply(Change(audit=audit, event_type=type_))
    with pytest.raises(WrongStateError):
        await world.store.apply(Change(audit=audit, event_type=type_))
    await world.store.apply(Change(audit=audit, event_type=edited))
    with pytest.raises(StaleVersionError):
        await world.store.apply(Change(audit=audit, event_type=edited))
    assert await world.store.event_types() == [edited]

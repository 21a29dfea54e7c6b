"""What InboxStore promises: few inboxes, their newest requests, nothing left of a closed one."""

import hashlib

import pytest
from tests.support.world import World

from payhooks.errors import WrongStateError
from payhooks.ids import InboxId
from payhooks.model.inbox import Heard, Inbox
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SecretPurpose
from payhooks.ports.controlling import Window

pytestmark = pytest.mark.shows("E20")

ALL = Window(limit=100)
INBOXES_MAX = 3
KEPT_MAX = 5


async def _open(world: World, merchant: Merchant, word: str) -> Inbox:
    inbox = Inbox(id=InboxId(world.ids.new()), merchant_id=merchant.id, created_at=world.now())
    await world.store.open_inbox(
        inbox,
        hashed=_hash(word),
        secret=world.secret(merchant, inbox.id, purpose=SecretPurpose.INBOX),
        audit=world.audit(merchant.id, "inbox.opened"),
        inboxes_max=INBOXES_MAX,
    )
    return inbox


def _hash(word: str) -> bytes:
    return hashlib.sha256(word.encode()).digest()


def _request(world: World, body: bytes = b"\xff{}") -> Heard:
    return Heard(
        id=world.ids.new(),
        method="POST",
        query="status=200",
        headers=(("x-twice", "1"), ("x-twice", "2")),
        body=body,
        status=200,
    )


async def test_an_inbox_is_found_by_its_word_and_by_its_merchant(world: World) -> None:
    merchant, stranger = await world.merchant(), await world.merchant()
    inbox = await _open(world, merchant, "one")
    other = await _open(world, merchant, "two")
    assert await world.store.inbox_with(_hash("one")) == inbox
    assert await world.store.inbox_with(_hash("three")) is None
    assert await world.store.inbox(merchant.id, inbox.id) == inbox
    assert await world.store.inbox(stranger.id, inbox.id) is None
    assert await world.store.inboxes(merchant.id, ALL) == [other, inbox]
    assert await world.store.inboxes(merchant.id, Window(limit=1, after=other.id)) == [inbox]
    assert await world.store.inboxes(stranger.id, ALL) == []
    [secret] = await world.store.secrets(merchant.id, inbox.id)
    assert secret.purpose is SecretPurpose.INBOX


async def test_requests_read_back_as_they_came_newest_first(world: World) -> None:
    merchant, stranger = await world.merchant(), await world.merchant()
    inbox, other = await _open(world, merchant, "one"), await _open(world, merchant, "two")
    first, second = _request(world), _request(world)
    for heard in (first, second):
        await world.store.hear(inbox, heard, kept_max=KEPT_MAX)
    read = world.store.heard
    assert await read(merchant.id, inbox.id, ALL) == [second, first]
    assert await read(merchant.id, inbox.id, Window(limit=1, after=second.id)) == [first]
    assert await read(merchant.id, other.id, ALL) == []
    assert await read(stranger.id, inbox.id, ALL) == []


async def test_the_newest_requests_are_kept(world: World) -> None:
    """Of each inbox for itself: a busy one pushes nothing out of another."""
    merchant = await world.merchant()
    inbox, quiet = await _open(world, merchant, "one"), await _open(world, merchant, "two")
    await world.store.hear(quiet, _request(world), kept_max=KEPT_MAX)
    requests = [_request(world) for _ in range(KEPT_MAX + 3)]
    for heard in requests:
        await world.store.hear(inbox, heard, kept_max=KEPT_MAX)
    kept = await world.store.heard(merchant.id, inbox.id, ALL)
    assert kept == requests[: -KEPT_MAX - 1 : -1]
    assert len(await world.store.heard(merchant.id, quiet.id, ALL)) == 1


async def test_nothing_is_left_of_a_closed_inbox(world: World) -> None:
    """Not what came before, nor what comes after; and it is closed once."""
    merchant = await world.merchant()
    inbox = await _open(world, merchant, "one")
    await world.store.hear(inbox, _request(world), kept_max=KEPT_MAX)
    audit = world.audit(merchant.id, "inbox.closed")
    assert await world.store.close_inbox(inbox, audit=audit)
    assert not await world.store.close_inbox(inbox, audit=audit)
    await world.store.hear(inbox, _request(world), kept_max=KEPT_MAX)
    assert await world.store.inbox_with(_hash("one")) is None
    assert await world.store.heard(merchant.id, inbox.id, ALL) == []
    assert await world.store.secrets(merchant.id, inbox.id) == []
    actions = [one.entry.action for one in await world.store.audit(merchant.id, after=0, limit=99)]
    assert actions[-2:] == ["inbox.opened", "inbox.closed"]


async def test_a_merchant_has_so_many_at_once(world: World) -> None:
    merchant, other = await world.merchant(), await world.merchant()
    [first, *_] = [await _open(world, merchant, str(number)) for number in range(INBOXES_MAX)]
    with pytest.raises(WrongStateError):
        await _open(world, merchant, "more")
    await _open(world, other, "theirs")
    await world.store.close_inbox(first, audit=world.audit(merchant.id))
    await _open(world, merchant, "more")

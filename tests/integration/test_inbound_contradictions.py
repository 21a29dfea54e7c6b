"""What a provider says of two amounts under one id: held back, and told each once if insisted on.

Scenarios are played by a connector to Adyen, where many messages come in one request. A step is a
batch (``A300 A400``: two captures under the id A; ``R`` is a refund, ``H`` an authorization, and
another letter another capture), ``!2`` for the second receipt, on which a person insists, or
``retire 2``, when the two that came first go.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.connectors.signed_by_adyen import KEY, PAYMENT, batch, signed
from tests.support.heard_histories import event_of
from tests.support.inbound_world import InboundWorld, sent

from payhooks.connectors.contract import Heard
from payhooks.control import connectors, receipts
from payhooks.control.connector_draft import ConnectorDraft
from payhooks.flow.messages import message_of, under_own_id
from payhooks.model.receipt import Receipt, ReceiptState

pytestmark = pytest.mark.shows("N13")

_CONFLICTING = ReceiptState.CONFLICTING
_DUPLICATE = ReceiptState.DUPLICATE
_PROCESSED = ReceiptState.PROCESSED


def _item(word: str) -> Mapping[str, Any]:
    """Return what ``A300`` stands for."""
    letter, value = word[0], int(word[1:])
    amount = {"value": value, "currency": "EUR"}
    if letter == "H":
        return {**PAYMENT, "amount": amount}
    return {
        **PAYMENT,
        "pspReference": letter,
        "originalReference": PAYMENT["pspReference"],
        "eventCode": "REFUND" if letter == "R" else "CAPTURE",
        "eventDate": "2019-07-01T12:00:00+01:00",
        "amount": amount,
    }


class _Account(InboundWorld):
    """An installation whose merchant hears Adyen, and its receipts in the order they came in."""

    merchant_text: str
    came: list[Receipt]

    async def begin(self) -> None:
        self.came = []
        self.merchant_text = await self.merchant()
        self.connector_made = await self.connector(
            self.merchant_text, "adyen", secrets=(KEY,), options={"capture": "manual_multiple"}
        )

    async def play(self, step: str) -> None:
        self.advance(60)
        if step.startswith("retire"):
            count = int(step.split()[1])
            last = self.came[count - 1].received_at
            before = last + timedelta(seconds=1)
            assert await self.store.retire_receipts(before=before, limit=100) == count
        elif step.startswith("!"):
            whose = await self.merchant_itself(self.merchant_text)
            place = int(step[1:]) - 1
            kept_one = await self.now_of(self.came[place])
            await receipts.reprocess(
                self.control, self.caller, whose, [kept_one], despite_conflict=True
            )
            [again] = await self.store.claim_receipts(owner=9, limit=10, for_s=1)
            await self.normaliser.process(again)
        else:
            items = [signed(_item(word)) for word in step.split()]
            known = {one.id for one in await self.stored(self.merchant_text)}
            heard = await self.hears(self.merchant_text, "adyen", {}, batch(*items).body)
            assert heard.status == 200
            await self.process()
            stored = await self.stored(self.merchant_text)
            self.came += [one for one in stored if one.id not in known]

    async def edit(self, draft: ConnectorDraft) -> None:
        whose = await self.merchant_itself(self.merchant_text)
        made = await connectors.find(self.control, whose, self.connector_made.name)
        await connectors.edit(self.control, self.caller, whose, made, draft, if_version=None)
        self.directory.outdate(whose.id)

    async def now_of(self, receipt: Receipt) -> Receipt:
        stored = await self.stored(self.merchant_text)
        return next(one for one in stored if one.id == receipt.id)

    async def told(self) -> list[int]:
        events = await self.events(self.merchant_text)
        return [msgspec.json.decode(event.data)["amount"] for event in events]

    def alarms(self) -> list[str]:
        return [kind for kind, _ in self.telemetry.alarms]


@pytest.fixture
async def account() -> _Account:
    """Return an installation."""
    made = _Account()
    await made.begin()
    return made


@pytest.mark.parametrize(
    ("said", "amounts"),
    [
        pytest.param("R300 R400", [300, 400], id="refund"),
        pytest.param("A300 A400", [300, 400], id="capture"),
        pytest.param("R300 R400 R300 R500 R400", [300, 400, 500], id="more"),
        pytest.param("B10 R300 R400", [10, 300, 400], id="beside"),
    ],
)
@pytest.mark.parametrize("are_retired", [False, True])
async def test_a_batch_that_says_otherwise_under_one_id_waits_for_a_person(
    account: _Account, said: str, amounts: list[int], *, are_retired: bool
) -> None:
    """The first amount was told, and the second dropped as what was known, without an alarm."""
    await account.play(said)
    assert await account.told() == []
    assert account.alarms() == ["conflicting_receipt"]

    await account.play("!1")
    told = await account.told()
    assert sorted(told) == amounts
    if are_retired:
        await account.play("retire 1")
    for again in (said, *said.split()):
        await account.play(again)
        assert (await account.now_of(account.came[-1])).state is _DUPLICATE
    assert await account.told() == told
    # He has decided: neither is in doubt.
    assert account.alarms() == ["conflicting_receipt"]


@pytest.mark.parametrize(
    ("steps", "told", "ends"),
    [
        pytest.param(
            ["A300", "A300 A400", "!2", "A300 A400"],
            [300, 400],
            [_PROCESSED, _PROCESSED, _DUPLICATE],
            id="the first is known",
        ),
        pytest.param(
            ["A400", "A300 A400", "!2", "A300 A400"],
            [400, 300],
            [_PROCESSED, _PROCESSED, _DUPLICATE],
            id="the second is known",
        ),
        pytest.param(
            ["A500 A400", "A300 A400", "!2", "!1", "B300"],
            [300, 400, 500, 300],
            [_PROCESSED] * 3,
            id="of two the later first",
        ),
        pytest.param(
            ["A300 A400", "A300 A400 C100", "A500", "!1", "!2", "A500", "B500"],
            [500, 300, 400, 100, 500],
            [_PROCESSED, _PROCESSED, _PROCESSED, _DUPLICATE, _PROCESSED],
            id="what two batches say, and one more",
        ),
        pytest.param(
            ["Z10", "A500 Z20", "A400", "A500", "!4", "!2", "A400", "B400"],
            [10, 400, 500, 20, 400],
            [_PROCESSED] * 4 + [_DUPLICATE, _PROCESSED],
            id="a batch that conflicts by another item",
        ),
        pytest.param(
            ["A50", "A60", "!2", "retire 2", "A60 A50 C70"],
            [50, 60, 70],
            [_PROCESSED],
            id="both are known from long ago",
        ),
        pytest.param(
            ["R400", "R300 R500 R400", "R300 S300", "!3", "retire 1", "!2"],
            [400, 300, 300, 500],
            [_PROCESSED] * 2,
            id="insisted on after what was known is gone",
        ),
        pytest.param(
            ["A500", "retire 1", "A300", "A500"],
            [500],
            [_CONFLICTING, _DUPLICATE],
            id="otherwise than long ago",
        ),
    ],
)
async def test_what_is_insisted_on_is_told_once_whatever_was_heard_around(
    account: _Account, steps: list[str], told: list[int], ends: list[ReceiptState]
) -> None:
    """By its receipt's id it hid what had the provider's, or was told by each receipt anew."""
    for step in steps:
        await account.play(step)
    assert await account.told() == told
    left = [one.state for one in await account.stored(account.merchant_text)]
    assert left == ends


async def test_what_else_a_batch_says_is_told_no_second_time_when_an_option_hides_the_conflict(
    account: _Account,
) -> None:
    """It was alone then, and so taken for what the person had insisted on."""
    for step in ("A300", "A400 R500", "R500"):
        await account.play(step)
    await account.edit(ConnectorDraft(options={"capture": "automatic"}))
    await account.play("!2")
    assert Counter(await account.told()) == {300: 1, 500: 1}


async def test_what_was_insisted_on_is_known_whatever_an_option_makes_of_it_later(
    account: _Account,
) -> None:
    """It is read as something else then, and was held back for a person once more."""
    for step in ("A300", "A400", "!2"):
        await account.play(step)
    await account.edit(ConnectorDraft(options={"capture": "manual"}))
    await account.play("A400")
    assert (await account.now_of(account.came[-1])).state is _DUPLICATE
    assert await account.told() == [300, 400]


async def test_what_a_connector_did_not_hear_of_a_batch_was_not_insisted_on(
    account: _Account,
) -> None:
    """It was taken for known, although nobody had told it."""
    for step in ("H8000", "A50"):
        await account.play(step)
    await account.edit(ConnectorDraft(events=("CAPTURE",)))
    for step in ("H9000 A60", "!3"):
        await account.play(step)
    await account.edit(ConnectorDraft(events=()))
    await account.play("H9000")
    assert await account.told() == [8000, 50, 60]
    assert (await account.now_of(account.came[-1])).state is _CONFLICTING


async def test_what_was_told_long_ago_conflicts_with_no_other_reading_of_the_same() -> None:
    """An option says in which currency the provider's amounts are; somebody corrects it."""
    world = InboundWorld()
    merchant = await world.merchant()
    made = await world.connector(merchant, "merchant-console")
    event = event_of("merchant-console", "transaction.sale.success")
    whose = await world.merchant_itself(merchant)
    headers, body = sent(
        "merchant-console",
        whose,
        event.type,
        event.data,
        object_type=event.object_type,
        object_id=event.object_id,
    )
    assert (await world.hears(merchant, "merchant-console", headers, body)).status == 200
    await world.process()
    wait, kept = timedelta(minutes=2), timedelta(seconds=10)
    assert await world.retire_receipts(after=wait, kept=kept) == 1
    found = await connectors.find(world.control, whose, made.name)
    euros = ConnectorDraft(options={"currency": "EUR"})
    await connectors.edit(world.control, world.caller, whose, found, euros, if_version=None)
    world.directory.outdate(whose.id)
    assert (await world.hears(merchant, "merchant-console", headers, body)).status == 200
    await world.process()
    [again] = await world.stored(merchant)
    assert again.state is _DUPLICATE
    assert world.telemetry.alarms == []


async def test_a_providers_own_id_is_none_that_a_person_gave(account: _Account) -> None:
    """Whatever characters it has: no mark and no alarm would follow."""
    heard = Heard(
        word="w",
        family="payhooks",
        type="payment_succeeded",
        object_type="payment",
        object_id="p",
        data=b"{}",
        event_id="evt\x1f1",
    )
    await account.play("A300")
    [receipt] = account.came
    assert not message_of(receipt, heard).insisted
    assert message_of(receipt, under_own_id(heard)).insisted


async def test_a_batch_that_was_told_in_part_does_not_say_that_nothing_was(
    account: _Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever decides about it reads that, and its first capture is with the merchant already."""
    for step in ("A300", "A400 B100"):
        items = [signed(_item(word)) for word in step.split()]
        await account.hears(account.merchant_text, "adyen", {}, batch(*items).body)
    first, second = account.receipts
    other = account.another_normaliser()
    account.after_next_publication(monkeypatch, lambda: other.process(first))
    await account.normaliser.process(second)

    ended = await account.now_of(second)
    assert await account.told() == [400, 300]
    assert ended.state is _CONFLICTING
    assert ended.detail == "The provider said otherwise under the same id; no more of it is told."

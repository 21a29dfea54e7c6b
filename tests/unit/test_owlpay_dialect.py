"""OwlPay: whose test it was, what an object is called, which names and ids are read."""

import json
from typing import Any

import msgspec
import pytest
from tests.support.dialect_events import AT, MERCHANT, endpoint_of, new_event_id

from payhooks.dialects.contract import SECRET_RANDOM_BYTES, Reading
from payhooks.dialects.owlpay import OWLPAY, SIGNATURE
from payhooks.dialects.provider_words import OWLPAY_ALIASES
from payhooks.errors import InvalidError
from payhooks.model.event import Event
from payhooks.model.merchant import Mode

pytestmark = pytest.mark.shows("V02")

ENVELOPE: dict[str, Any] = {
    "uuid": "att_c0d3d7cda1e2175faa701dfd4a9b85355a3c9630",
    "api_version": "1.0.0",
    "is_test": 1,
    "observation": "payment_intent.captured",
    "data": {"payment_intent": {"uuid": "pi_1", "updated_at": "2023-07-11T09:02:49+00:00"}},
}


def _read(**changes: object) -> Reading:
    return OWLPAY.read({}, json.dumps({**ENVELOPE, **changes}).encode())


def _rendered(*, kind: str, object_type: str | None, mode: Mode = Mode.SANDBOX) -> dict[str, Any]:
    event = Event(
        id=new_event_id(),
        merchant_id=MERCHANT.id,
        type=kind,
        family="own",
        data=b"{}",
        object_type=object_type,
        object_id=None if object_type is None else "1",
    )
    merchant = msgspec.structs.replace(MERCHANT, mode=mode)
    body = OWLPAY.render(event=event, endpoint=endpoint_of("owlpay"), merchant=merchant).body
    envelope: dict[str, Any] = json.loads(body)
    return envelope


def test_the_header_has_one_time_and_a_signature_of_each_secret_newest_first() -> None:
    """OwlPay's own sample takes the first signature, so a new secret must work at once."""
    texts = ["whs_the-new-one", "whs_the-old-one"]
    both = [OWLPAY.signing_secret(text) for text in texts]

    signed = OWLPAY.sign(message_id="m", body=b"{}", secrets=both, now=AT)
    alone = OWLPAY.sign(message_id="m", body=b"{}", secrets=both[:1], now=AT)

    [(name, value)] = signed.headers
    assert name == SIGNATURE == "owlpay-signature"
    time, first, second = value.split(",")
    assert time == f"t={int(AT.timestamp())}"
    assert f"{time},{first}" == alone.headers[0][1]
    assert first != second


def test_a_new_secret_looks_like_owlpays() -> None:
    """So that it can be told from an API key at sight."""
    text = OWLPAY.new_secret(bytes(range(SECRET_RANDOM_BYTES)))
    assert text.startswith("whs_")
    assert text.removeprefix("whs_").isalnum()
    assert OWLPAY.signing_secret(text).key == text.encode()


@pytest.mark.parametrize(("mode", "printed"), [(Mode.SANDBOX, 1), (Mode.LIVE, 0)])
def test_is_test_is_the_merchants_mode(mode: Mode, printed: int) -> None:
    """A number, as OwlPay writes it; a receiver that ships goods looks at it first."""
    envelope = _rendered(kind="order.received", object_type="order", mode=mode)
    assert envelope["is_test"] is not True
    assert envelope["is_test"] == printed


@pytest.mark.parametrize(
    ("kind", "object_type", "name"),
    [
        pytest.param("agent.invite.created", "agent_invite", "agent_invite", id="its object"),
        pytest.param("agent.invite.created", None, "agent", id="no object: the first word"),
        pytest.param("payment_succeeded", None, "payment_succeeded", id="one word is all of it"),
    ],
)
def test_data_is_named_after_its_object(kind: str, object_type: str | None, name: str) -> None:
    """Receivers look for ``data.order``, not for ``data``."""
    assert _rendered(kind=kind, object_type=object_type)["data"] == {name: {}}


@pytest.mark.parametrize(("old", "new"), OWLPAY_ALIASES.items())
def test_an_earlier_name_is_read_as_todays(old: str, new: str) -> None:
    """Whoever does the work should see one name, in the type and in what it is deduped by."""
    said, again = _read(observation=old), _read(observation=new)
    assert said.event_type == new
    assert said.ids == again.ids


def test_an_attempt_under_another_uuid_is_known_by_its_state() -> None:
    """The uuid says ``att``: it may be the attempt's, and a retry's another."""
    first, retry = _read(), _read(uuid="att_another")
    assert first.ids[0] != retry.ids[0]
    assert first.ids[1] == retry.ids[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"observation": "payment_intent.voided"},
        {"data": {"payment_intent": {"uuid": "pi_2", "updated_at": "2023-07-11T09:02:49+00:00"}}},
        {"data": {"payment_intent": {"uuid": "pi_1", "updated_at": "2023-07-11T09:02:50+00:00"}}},
    ],
    ids=["what happened", "to what", "when"],
)
def test_another_state_has_another_key(changed: dict[str, Any]) -> None:
    """Deduping by too little would drop the second capture."""
    assert _read().ids[1] != _read(**changed).ids[1]


@pytest.mark.parametrize(
    "about",
    [{}, {"uuid": "pi_1"}, {"updated_at": "2023-07-11T09:02:49+00:00"}, {"uuid": None}],
    ids=["nothing", "no time", "no id", "null"],
)
def test_half_a_state_is_no_key(about: dict[str, Any]) -> None:
    """All objects without an id would be duplicates of each other."""
    reading = _read(data={"payment_intent": about})
    assert [name for name, _ in reading.ids] == ["uuid"]


def test_the_signed_time_orders_nothing() -> None:
    """An old state that is sent again is signed anew, and would look like the newest."""
    body = json.dumps({**ENVELOPE, "data": {"payment_intent": {"uuid": "pi_1"}}}).encode()
    secrets = [OWLPAY.signing_secret("whs_test")]
    signed = OWLPAY.sign(message_id="m", body=body, secrets=secrets, now=AT)
    reading = OWLPAY.read(dict(signed.headers), body)
    assert reading.ordered_at is None
    assert reading.occurred_at is None


@pytest.mark.parametrize(
    "updated_at",
    ["yesterday", "2023-07-11T09:02:49", "9999-12-31T23:59:59-23:00", 1689066169, True, {}],
)
def test_what_is_no_time_orders_nothing(updated_at: object) -> None:
    """And is no reason to refuse what OwlPay signed."""
    reading = _read(data={"payment_intent": {"uuid": "pi_1", "updated_at": updated_at}})
    assert reading.ordered_at is None
    assert reading.object_id == "pi_1"


@pytest.mark.parametrize(
    ("said", "read"), [(1, True), (0, False), (True, True), (False, False), (None, None)]
)
def test_reads_whether_it_is_a_test(said: object, read: bool | None) -> None:  # noqa: FBT001 - a table
    """As a number in the envelope, as a boolean in the objects."""
    assert _read(is_test=said).is_test is read


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        pytest.param({"uuid": ""}, "/uuid", id="no uuid"),
        pytest.param({"observation": ""}, "/observation", id="no observation"),
        pytest.param({"data": {}}, "/data", id="nothing in data"),
        pytest.param({"data": {"order": {}, "vendor": {}}}, "/data", id="two things in data"),
        pytest.param({"data": {"order": []}}, "", id="a list in data"),
        pytest.param({"data": []}, "", id="data is a list"),
        pytest.param({"is_test": 2}, "", id="neither a test nor none"),
        pytest.param({"uuid": 7}, "", id="a number for a uuid"),
        pytest.param({"observation": "a" * 129}, "", id="a name without end"),
    ],
)
def test_names_what_cannot_be_read(changed: dict[str, Any], pointer: str) -> None:
    """Of two objects we do not guess which one happened."""
    with pytest.raises(InvalidError) as caught:
        _read(**changed)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


@pytest.mark.parametrize("name", ["uuid", "observation", "data"])
def test_names_what_is_missing(name: str) -> None:
    body = json.dumps({key: value for key, value in ENVELOPE.items() if key != name}).encode()
    with pytest.raises(InvalidError, match=f"/{name}"):
        OWLPAY.read({}, body)

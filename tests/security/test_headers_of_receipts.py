"""Of a request's headers all is kept that verifies it again, and nothing that opens something."""

import contextlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Final

import pytest
from tests.connectors.samples import MAKERS
from tests.support.hearing_console import HearingConsole

from payhooks import ids
from payhooks.connectors.contract import Source
from payhooks.connectors.judging import judged
from payhooks.errors import InvalidError
from payhooks.flow.receipt_guard import kept_headers
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.model.user import Role

pytestmark = pytest.mark.shows("N06")

_WRONG: Final = "wrong_secret_0123456789"
_RIGHT: Final = "right_secret_0123456789"
_SIGNED: Final = "{timestamp}.{id}.{body}"
_ENVELOPE: Final = '{"type":"{type}","event":"{data}"}'
# By what they are called nobody could tell them from a password.
_FORMATS: Final = {
    "time": ("X-Auth-Timestamp", "X-Signature", "X-Message-Id"),
    "signature": ("X-Timestamp", "X-Webhook-Token", "X-Message-Id"),
    "id": ("X-Timestamp", "X-Signature", "X-Session-Id"),
    "all": ("X-Auth-Time", "X-Api-Key", "X-Secret-Id"),
}
_PASSWORDS: Final = {
    "authorization": "Bearer of-the-marker",
    "proxy-authorization": "Basic of-the-marker",
    "cookie": "session=of-the-marker",
    "x-auth-token": "of-the-marker",
    "x-access-key": "of-the-marker",
    "x-shop-password": "of-the-marker",
}


class _Sender:
    """A company that signs in its own format, and a merchant who hears it."""

    def __init__(self, names: tuple[str, str, str]) -> None:
        self.time, self.signature, self.id = names
        self.world = HearingConsole()
        self.merchant = ""

    async def open(self, secret: str) -> "_Sender":
        self.merchant = await self.world.merchant(custom_dialect=self.format())
        await self.world.connector(
            self.merchant, "custom", secrets=(secret,), options={"family": "owngateway"}
        )
        return self

    def format(self) -> dict[str, str]:
        return {
            "timestamp_header": self.time,
            "signature_header": self.signature,
            "id_header": self.id,
            "signed": _SIGNED,
            "envelope": _ENVELOPE,
        }

    async def call(
        self, method: str, rest: str, said: object = None
    ) -> tuple[int, dict[str, object]]:
        answer = await self.world.call(method, f"/v1/merchants/{self.merchant}{rest}", said)
        return answer.status, answer.json

    async def send(self, message_id: str, **members: object) -> int:
        data = {"payment_id": "pay_1", "currency": "EUR", "status": "partially_captured"}
        event = {**data, "amount": 1000, **members}
        body = json.dumps({"type": "payment_captured", "event": event}).encode()
        now = str(int(self.world.clock.now().timestamp()))
        signed = f"{now}.{message_id}.".encode() + body
        proof = hmac.new(_RIGHT.encode(), signed, "sha256").hexdigest()
        own = {self.time.lower(): now, self.id.lower(): message_id, self.signature.lower(): proof}
        answer = await self.world.hears(self.merchant, "custom", _PASSWORDS | own, body)
        await self.world.process()
        self.world.advance(1)
        return answer.status

    async def stored(self) -> list[Receipt]:
        return await self.world.stored(self.merchant)


@pytest.mark.parametrize("names", _FORMATS.values(), ids=_FORMATS)
async def test_what_an_own_format_reads_is_kept_whatever_it_is_called(
    names: tuple[str, str, str],
) -> None:
    """Dropped, the request could never be verified, and was said to have come without it."""
    sender = await _Sender(names).open(_WRONG)
    assert await sender.send("m1", amount_received=400) == 401
    [receipt] = await sender.stored()
    assert {name.lower() for name in names} <= dict(receipt.headers).keys()
    text = ids.to_text(ids.RECEIPT, receipt.id)
    _, said = await sender.call("GET", f"/receipts/{text}")
    assert "Nothing fits that was tried" in str(said["diagnosis"])

    mended = {"secret": _RIGHT, "grace_s": 0}
    assert (await sender.call("POST", "/connectors/custom/rotate-secret", mended))[0] == 200
    _, said = await sender.call("GET", f"/receipts/{text}")
    assert "It would be accepted with the connector's settings" in str(said["diagnosis"])
    status, said = await sender.call("POST", f"/receipts/{text}/reprocess")
    assert status == 202, said
    [again] = await sender.world.store.claim_receipts(owner=2, limit=2, for_s=1)
    await sender.world.normaliser.process(again)
    assert [event.type for event in await sender.world.events(sender.merchant)] == [
        "payment_captured"
    ]


@pytest.mark.parametrize("name", ["X-Message-Id", "X-Session-Id"])
async def test_an_id_is_known_again_whatever_its_header_is_called(name: str) -> None:
    """The same id with another amount was told as news, with no alarm."""
    sender = await _Sender(("X-Timestamp", "X-Signature", name)).open(_RIGHT)
    for amount in (400, 900):
        assert await sender.send("m1", amount_received=amount) == 200
    states = [receipt.state for receipt in await sender.stored()]
    assert states == [ReceiptState.PROCESSED, ReceiptState.CONFLICTING]
    assert [kind for kind, _ in sender.world.telemetry.alarms] == ["conflicting_receipt"]


@pytest.mark.shows("S13")
@pytest.mark.parametrize("secret", [_RIGHT, _WRONG], ids=["verified", "quarantined"])
async def test_no_password_reaches_the_store_or_whoever_looks(secret: str) -> None:
    """Verified or not, beside whichever headers the format has, of an own format as of others."""
    sender = await _Sender(_FORMATS["all"]).open(secret)
    await sender.world.connector(sender.merchant, "owlpay")
    await sender.send("m1", amount_received=400)
    await sender.world.hears(sender.merchant, "owlpay", _PASSWORDS, b"{}")
    own, other = await sender.stored()
    assert {name for name, _ in own.headers} & _PASSWORDS.keys() == set()
    browser = await sender.world.signed_in(
        await sender.world.merchant_itself(sender.merchant), Role.VIEWER
    )
    for receipt in (own, other):
        assert "of-the-marker" not in repr(receipt.headers)
        text = ids.to_text(ids.RECEIPT, receipt.id)
        _, said = await sender.call("GET", f"/receipts/{text}")
        page = (await browser.get(f"/console/receipts/{text}")).text
        for seen in (json.dumps(said), page):
            assert "of-the-marker" not in seen
            assert _RIGHT not in seen
            assert _WRONG not in seen


@pytest.mark.shows("S13")
@pytest.mark.parametrize("name", ["Authorization", "Proxy-Authorization", "Cookie"])
@pytest.mark.parametrize("member", ["signature_header", "timestamp_header", "id_header"])
async def test_what_http_shows_passwords_in_is_no_header_of_a_format(
    name: str, member: str
) -> None:
    """Else a format could have them kept."""
    sender = await _Sender(_FORMATS["id"]).open(_RIGHT)
    said = {"custom_dialect": {**sender.format(), member: name}}
    status, problem = await sender.call("PATCH", "", said)
    assert status == 422
    assert "header_not_allowed" in json.dumps(problem)


async def test_what_was_dropped_before_the_format_named_it_is_not_said_to_be_missing() -> None:
    """Who mends the format, rather than the secret, is not told that his sender forgot a header."""
    sender = await _Sender(_FORMATS["signature"]).open(_RIGHT)
    wrong = {"custom_dialect": {**sender.format(), "signature_header": "X-Sig"}}
    assert (await sender.call("PATCH", "", wrong))[0] == 200
    assert await sender.send("m1", amount_received=400) == 401
    [receipt] = await sender.stored()
    assert receipt.reason == "The request has no X-Sig header."
    assert (await sender.call("PATCH", "", {"custom_dialect": sender.format()}))[0] == 200
    text = ids.to_text(ids.RECEIPT, receipt.id)
    _, said = await sender.call("GET", f"/receipts/{text}")
    words = "Whether it had a header x-webhook-token is not known"
    assert words in str(said["diagnosis"])
    status, problem = await sender.call("POST", f"/receipts/{text}/reprocess")
    assert (status, words in str(problem["detail"])) == (409, True)


class _Read(Mapping[str, str]):
    """Headers that remember which of them were asked for."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self.names = set[str]()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)


@pytest.mark.parametrize("name", MAKERS)
def test_what_a_provider_reads_by_name_is_kept_but_for_a_password(name: str) -> None:
    """Of every provider that we hear, and of one that is added: it is asked, not remembered."""
    sample = MAKERS[name](0)
    headers = _Read(sample.incoming.headers)
    incoming = sample.incoming._replace(headers=headers)
    if sample.provider.source is Source.SIGNATURE:
        keys = sample.keys._replace(credential="user:password")
        for each in (sample.keys, keys):
            judged(sample.provider, incoming, each, sample.now, sample.options)
    with contextlib.suppress(InvalidError):
        sample.provider.read(incoming, sample.options)
    came = dict.fromkeys(headers.names, "1")
    kept = dict(kept_headers(came, sample.provider.own_headers))
    assert came.keys() - kept.keys() <= {"authorization"}
    assert "authorization" not in sample.provider.own_headers

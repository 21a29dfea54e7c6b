"""A served process that hears providers, and what is sent to it, to the byte.

How each of them signs is written here once more, by its documentation alone: what the server
shares with its own check would be wrong in both places at once.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.bad_input import Ground, Reply, ground
from tests.support.inbound_load import signed
from tests.support.owlpay_sender import SECRET
from tests.support.providers import connector, payment
from tests.support.receiving import until
from tests.support.server import Json, Tenant

SANDBOX_HOST: Final = "127.0.0.1"
LIVE_HOST: Final = "live.payhooks.example"
_HOSTS: Final = {
    "PAYHOOKS_PUBLIC_URL_SANDBOX": f"http://{SANDBOX_HOST}",
    "PAYHOOKS_PUBLIC_URL_LIVE": f"https://{LIVE_HOST}",
}
_GOOD: Final = "good"  # the connector of the good requests
_SECONDS_TRIED_MAX: Final = 20


@dataclass
class Hearing:
    """The process, a merchant who hears, and every way of looking at what became of it."""

    ground: Ground
    tenant: Tenant
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def send(
        self,
        target: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
        host: str = SANDBOX_HOST,
    ) -> Reply:
        """Send one request; the target stands as it is."""
        said = {"content-type": "application/json", **(headers or {})}
        head = [
            f"{method} {target} HTTP/1.1",
            f"host: {host}",
            "connection: close",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in said.items()),
        ]
        return self.ground.raw("\r\n".join([*head, "", ""]).encode("latin-1"), body)

    def say(self, speaker: "Speaker", body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send one request to the connector of a speaker."""
        return self.send(self.path(speaker.dialect), body, headers)

    def path(self, name: str) -> str:
        """Return where a connector of the merchant is."""
        return f"/webhooks/{self.tenant.id}/{name}"

    def metric(self, name: str) -> float:
        """Return how far the process has counted; *name* with its labels, as it is exposed."""
        lines = self.ground.api.get("/metrics")["text"].splitlines()
        return sum(float(line.removeprefix(name)) for line in lines if line.startswith(f"{name} "))

    def number(self) -> int:
        """Return a number that no other payment here has."""
        return next(self._numbers)

    def receipts(self, name: str) -> list[Json]:
        """Return what a connector brought, newest first, once all of it was read."""
        found = f"{self.tenant.path}/receipts?connector_id={name}"
        return until(
            lambda: list(self.tenant.api.pages(found)),
            lambda all_: not any(one["state"] == "received" for one in all_),
        )

    def told(self, object_id: str) -> list[str]:
        """Return the types of the events about an object, newest first."""
        found = f"{self.tenant.path}/events?object_id={object_id}"
        return [event["type"] for event in self.tenant.api.pages(found)]

    def kept(self) -> tuple[int, ...]:
        """Return how many receipts there are on the disk, and how many of them are about what.

        Of connectors about whose receipts nobody has to be asked, once all of these were read: a
        receipt of the test before may be read yet, and an answer may come at any time.
        """
        unread, *kept = until(self._counts, lambda counts: counts[0] == 0)
        assert unread == 0
        return tuple(kept)

    def _counts(self) -> tuple[int, ...]:
        fetched = "CAST(document AS TEXT) ->> '$.verdict' = 'fetch'"
        quiet = f"connector_id NOT IN (SELECT connector_id FROM receipts WHERE {fetched})"  # noqa: S608 - ours
        tables = (
            f"receipts WHERE {quiet} AND state = 'received'",
            f"receipts WHERE {quiet}",
            f"heard WHERE {quiet}",
        )
        uri = f"file:{self.ground.server.sqlite_path}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
            database.execute("BEGIN")  # one state of the file, whatever is written between two
            return tuple(
                database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - ours
                for table in tables
            )

    @contextlib.contextmanager
    def unharmed(self, *, stores: bool = True, alarm: str = "") -> Iterator[None]:
        """Run the block, then ask whether the process is as it was, and hears the next good one."""
        before = self.kept()
        with self.ground.unharmed(stores=True, alarm=alarm):
            yield
            if not stores:
                assert self.kept() == before
        assert self.send(self.path(_GOOD), *signed(f"good{self.number()}")).status == 200
        self.receipts(_GOOD)


@contextlib.contextmanager
def hearing(folder: Path) -> Iterator[Hearing]:
    """Serve from *folder* on SQLite, with a name for each mode and a connector of each speaker."""
    with ground(folder, _HOSTS) as served:
        tenant = Tenant(served.api, "Hears")
        connector(tenant, name=_GOOD)
        for speaker in SPEAKERS:
            connector(tenant, speaker.dialect, secrets=[speaker.secret])
        yield Hearing(served, tenant)


def now_s() -> int:
    """Return the second it is, as providers sign it."""
    return int(time.time())


def within_one_second(send: Callable[[int], Reply]) -> Reply:
    """Return the answer to what *send* does with a time, come before that second was over.

    So it is known on which side of an edge the server's clock was.
    """
    for _ in range(_SECONDS_TRIED_MAX):
        began_s = now_s()
        reply = send(began_s)
        if now_s() == began_s:
            return reply
    raise AssertionError("no answer came within the second")


Sign = Callable[[bytes, str, str], dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """How one provider says that a payment was made, and signs it."""

    dialect: str
    secret: str
    other_secret: str
    header: str  # of the signature
    digits: int  # of the signature itself, at the end of the header's value
    about: str  # how its payments' ids begin
    says: Callable[[int], dict[str, Any]]
    sign: Sign  # body, signed time, secret
    between: str = ""  # several signatures, where there may be
    time_header: str = ""  # where the signed time is one of its own

    @property
    def is_timed(self) -> bool:
        """Whether it signs a time."""
        return bool(self.between)

    def body(self, number: int) -> bytes:
        """Return a message with what a second writer would spell otherwise."""
        said = json.dumps(self.says(number), ensure_ascii=False, indent=1)
        return said.encode()

    def signed(self, body: bytes, at_s: int | None = None) -> dict[str, str]:
        """Return the headers of now, or of another time."""
        return self.sign(body, str(now_s() if at_s is None else at_s), self.secret)


def _hex(key: str, signed: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(key.encode(), signed, algorithm).hexdigest()


def _timed_list(header: str) -> Sign:
    def sign(body: bytes, at: str, secret: str) -> dict[str, str]:
        made = _hex(secret, f"{at}.".encode("latin-1") + body)
        return {header: f"t={at},v1={made}"}

    return sign


def _of_body(header: str, algorithm: str) -> Sign:
    def sign(body: bytes, at: str, secret: str) -> dict[str, str]:
        return {header: _hex(secret, body, algorithm)}

    return sign


def _standard(body: bytes, at: str, secret: str) -> dict[str, str]:
    message_id = f"msg_{hashlib.sha256(body).hexdigest()[:16]}"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{at}.".encode("latin-1") + body
    made = base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": at, "webhook-signature": f"v1,{made}"}


def _unified(number: int) -> dict[str, Any]:
    return {
        "payment_id": f"pay_{number}",
        "amount": 1250,
        "currency": "EUR",
        "status": "succeeded",
        "description": "Zoë's",
    }


def _owlpay(number: int) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(payment(number, note="Zoë's"))
    return said


def _stripe(number: int) -> dict[str, Any]:
    data = {"id": f"pi_{number}", "object": "payment_intent", "amount": 1250, "currency": "eur"}
    return {
        "id": f"evt_{number}",
        "object": "event",
        "created": 1_700_000_000,
        "data": {"object": {**data, "description": "Zoë's"}},
        "livemode": False,
        "type": "payment_intent.succeeded",
    }


def _console(number: int) -> dict[str, Any]:
    sale = {"type": "transaction", "key": f"k{number}", "refnum": str(number), "amount": "12.50"}
    return {
        "type": "event",
        "event_triggered": "2026-11-20 12:00:00",
        "event_type": "transaction.sale.success",
        "event_body": {"merchant": {"merch_key": "m1"}, "object": {**sale, "note": "Zoë's"}},
        "event_id": f"e{number}",
    }


def _gateway(number: int) -> dict[str, Any]:
    return {
        "merchant_id": "m1",
        "event_id": f"evt_{number}",
        "event_type": "payment_succeeded",
        "content": {"type": "payment_details", "object": _unified(number)},
        "timestamp": "2026-11-20T12:00:00.000Z",
    }


def _common(number: int) -> dict[str, Any]:
    at = "2026-11-20T12:00:00.000000Z"
    return {"type": "payment_succeeded", "timestamp": at, "data": _unified(number)}


OWNGATEWAY: Final = Speaker(
    dialect="owngateway",
    secret="gateway_hash_key_0123456789",
    other_secret="gateway_hash_key_9876543210",
    header="x-webhook-signature-512",
    digits=128,
    about="pay_",
    says=_gateway,
    sign=_of_body("x-webhook-signature-512", "sha512"),
)
STANDARD: Final = Speaker(
    dialect="standard",
    secret="whsec_" + base64.b64encode(bytes(range(32))).decode(),
    other_secret="whsec_" + base64.b64encode(bytes(32)).decode(),
    header="webhook-signature",
    digits=44,
    about="pay_",
    says=_common,
    sign=_standard,
    between=" ",
    time_header="webhook-timestamp",
)
STRIPE: Final = Speaker(
    dialect="stripe",
    secret="whsec_of_stripe_0123456789",
    other_secret="whsec_of_stripe_9876543210",
    header="stripe-signature",
    digits=64,
    about="pi_",
    says=_stripe,
    sign=_timed_list("stripe-signature"),
    between=",",
)
SPEAKERS: Final = (
    Speaker(
        dialect="owlpay",
        secret=SECRET,
        other_secret=SECRET[::-1],
        header="owlpay-signature",
        digits=64,
        about="pi_",
        says=_owlpay,
        sign=_timed_list("owlpay-signature"),
        between=",",
    ),
    STRIPE,
    STANDARD,
    Speaker(
        dialect="merchant-console",
        secret="console_key_0123456789",
        other_secret="console_key_9876543210",
        header="x-signature",
        digits=64,
        about="k",
        says=_console,
        sign=_of_body("x-signature", "sha256"),
    ),
    OWNGATEWAY,
)

by_speaker = pytest.mark.parametrize(
    "speaker", [pytest.param(each, id=each.dialect) for each in SPEAKERS]
)
by_timed_speaker = pytest.mark.parametrize(
    "speaker", [pytest.param(each, id=each.dialect) for each in SPEAKERS if each.is_timed]
)

"""Card data in what providers send, through a served process: nothing on its disk has any."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import Final

import pytest
from tests.support.cards import DISGUISES, number_of
from tests.support.leaks import Sink
from tests.support.providers import connector, payment, post, signature
from tests.support.receiving import until
from tests.support.server import Api, Server, Tenant, sqlite_url

from payhooks.clock import SystemClock
from payhooks.policy.card_numbers import MASK

_PLACE: Final = "@@"
_KEPT: Final = "kept-to-show-where-to-look"
_CODE: Final = "7371"


def _numbers() -> dict[str, str]:
    """Return a number of its own for each disguise, so that what leaks is told apart."""
    random = Random("inbound")
    return {disguise: number_of("4", 16, random) for disguise in DISGUISES}


def _body(disguise: str, number: str) -> bytes:
    card = {"number": _PLACE, "cvv": _CODE}
    raw = payment(disguise.replace(" ", "_"), note=_KEPT, card=card, t=number)
    return raw.replace(json.dumps(_PLACE).encode(), DISGUISES[disguise](number))


def _unreadable(number: str) -> Iterator[tuple[str, bytes]]:
    """Yield what is no message of the provider, and comes from anybody."""
    yield "application/x-www-form-urlencoded", f"pan={number}&cvv={_CODE}".encode()
    yield "application/xml", f"<a><pan>{number}</pan><cvv>{_CODE}</cvv></a>".encode()
    yield "application/json", f'{{"pan":"{number}","cvv":"{_CODE}"'.encode()
    yield "application/octet-stream", b"\xff\xfe%b\xff" % number.encode()


def _files(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file())


def _metrics(port: int) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/metrics")
    said = connection.getresponse().read().decode()
    connection.close()
    return said


@pytest.mark.shows("S40", "S41", "S42", "S43", "I14")
def test_no_file_of_an_installation_has_a_number_that_a_provider_sent(tmp_path: Path) -> None:
    """S41: the merchant reports what he publishes himself; what he is sent is masked all the same.

    Verified or not, in the body, the query or a header. And the payment is told of: what is read
    is the masked copy.
    """
    numbers = _numbers()
    stray = number_of("51", 16, Random("stray"))
    with Sink() as sink, sqlite_url(tmp_path) as url:
        server = Server(tmp_path, url, environment={"PAYHOOKS_LOG_LEVEL": "debug"})
        try:
            server.start()
            tenant = Tenant(Api(server.port), "heard", card_numbers="report")
            tenant.endpoint(sink.url("/200/shop"), events=["*"])
            name = connector(tenant)["name"]
            path = f"/webhooks/{tenant.id}/{name}"
            for disguise, number in numbers.items():
                body = _body(disguise, number)
                head = {
                    **signature(body, at_s=int(SystemClock().now().timestamp())),
                    "x-note": f"card {number}",
                }
                told = post(server.port, f"{path}?pan={number}&cvc={_CODE}", body, head)
                assert told.status == 200, told
            for type_, body in _unreadable(stray):
                told = post(server.port, path, body, {"content-type": type_, "x-cvv": _CODE})
                assert told.status == 401, told
            until(
                lambda: list(tenant.api.pages(f"{tenant.path}/events?type=payment_succeeded")),
                lambda events: len(events) == len(numbers),
            )
            until(lambda: len(sink.bodies), len(numbers).__le__)
            receipts = list(tenant.api.pages(f"{tenant.path}/receipts"))
            said = json.dumps(
                [receipts, *(tenant.api.get(f"{tenant.path}/receipts/{r['id']}") for r in receipts)]
            )
            said += _metrics(server.port)
            stored = _files(tmp_path)
            server.stop()
        finally:
            server.close()
        stored += _files(tmp_path)
    assert len(receipts) == len(numbers) + 4
    assert _KEPT.encode() in stored
    delivered = b"".join(sink.bodies)
    for number in (*numbers.values(), stray):
        assert number.encode() not in stored
        assert number not in said
        assert number.encode() not in delivered
    assert f"{stray[:6]}{MASK * 6}{stray[-4:]}" in said
    for spelt in ('"cvv":"{}', "cvv={}", "cvc={}", "<cvv>{}"):
        assert spelt.format(_CODE).encode() not in stored
        assert spelt.format(MASK * len(_CODE)).encode() in stored
    for code in ("card_number_masked", "security_code_masked"):
        assert f'payhooks_card_data_found_total{{finding="{code}"}}' in said

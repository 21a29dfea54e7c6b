"""Card data through a whole installation: nothing of it is in logs, errors, traces or metrics."""

import json
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import Final

import pytest
from tests.support.cards import DISGUISES, number_of
from tests.support.leaks import Sink, sqlite_bytes
from tests.support.server import Api, Refused, Server, Tenant, sqlite_url

_WITHIN_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.05
_TYPE: Final = "card.seen"


def _numbers(choice: str) -> dict[str, str]:
    """Return a number of its own for each disguise, so that what leaks is told apart."""
    random = Random(choice)
    return {disguise: number_of("4", 16, random) for disguise in DISGUISES}


def _await_deliveries(api: Api, path: str, count: int) -> None:
    until_s = time.monotonic() + _WITHIN_S
    while True:
        done = [each for each in api.pages(f"{path}/deliveries") if each["status"] == "delivered"]
        if len(done) >= count:
            return
        assert time.monotonic() < until_s, len(done)
        # Nobody but the database knows: it is asked until it says so.
        threading.Event().wait(_LOOK_EVERY_S)


def _metrics(server: Server) -> str:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=_WITHIN_S)
    connection.request("GET", "/metrics")
    said = connection.getresponse().read().decode()
    connection.close()
    return said


@pytest.mark.shows("S40", "S41", "S42", "S43")
def test_no_log_and_no_error_has_a_number_and_masked_ones_are_nowhere(tmp_path: Path) -> None:
    """S41: what is stolen or shown by mistake is a database, a log, a screen."""
    numbers = {choice: _numbers(choice) for choice in ("report", "mask", "reject")}
    said: list[str] = []
    with Sink() as sink, sqlite_url(tmp_path) as url:
        server = Server(
            tmp_path,
            url,
            environment={
                "PAYHOOKS_LOG_LEVEL": "debug",
                "PAYHOOKS_TRACES": "true",
                "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url("/collector"),
            },
        )
        try:
            server.start()
            api = Api(server.port)
            for choice, planted in numbers.items():
                tenant = Tenant(api, choice, card_numbers=choice, type_check="off")
                tenant.endpoint(sink.url(f"/200/{choice}"), events=["*"])
                for disguise, number in planted.items():
                    value = DISGUISES[disguise](number).decode()
                    data = json.loads(f'{{"n":{value},"cvv":"737","k":{json.dumps(number)}}}')
                    if choice == "reject":
                        with pytest.raises(Refused, match="card_number") as refused:
                            tenant.publish(data, type=_TYPE)
                        said.append(refused.value.body)
                    else:
                        said.append(json.dumps(tenant.publish(data, type=_TYPE)))
                    _refused_otherwise(tenant, number, said)
                if choice != "reject":
                    _await_deliveries(api, tenant.path, len(planted))
            said.append(_metrics(server))
            stored = sqlite_bytes(server.sqlite_path)
            server.stop()
        finally:
            server.close()
        stored += sqlite_bytes(server.sqlite_path)
    log = (tmp_path / "server.log").read_text()
    told = "\n".join(said)
    bodies = {
        choice: [
            body.decode()
            for path, body in zip(sink.paths, sink.bodies, strict=True)
            if path == f"/200/{choice}"
        ]
        for choice in numbers
    }
    for choice, planted in numbers.items():
        for number in planted.values():
            assert number not in log
            assert number not in told
            # What was reported alone is stored, and shows that here is where to look.
            assert (number.encode() in stored) == (choice == "report")
            assert any(number in body for body in bodies[choice]) == (choice == "report")
    # With its quotes: a time or an id may have the digits, and once in a hundred runs one had.
    assert not any('"737"' in body for body in bodies["mask"])
    assert any('"737"' in body for body in bodies["report"])
    traced = b"".join(
        body
        for path, body in zip(sink.paths, sink.bodies, strict=True)
        if path.startswith("/collector")
    )
    assert traced
    assert not any(n.encode() in traced for planted in numbers.values() for n in planted.values())
    assert log.count('"kind":"card_data"') == 1, "once a minute"
    assert 'payhooks_card_data_found_total{finding="card_number"}' in told
    assert 'payhooks_card_data_found_total{finding="security_code_masked"}' in told


def _refused_otherwise(tenant: Tenant, number: str, said: list[str]) -> None:
    """Publish what is wrong in another way too: an error must not quote it."""
    for wrong in (
        {"type": number},
        {"type": f"{number}!"},
        {"type": _TYPE, "family": number},
        {"type": _TYPE, number: number},
        {"type": _TYPE, "occurred_at": number},
        {"type": _TYPE, "object": {"type": "o", "id": "o", number: 1}},
        {"type": _TYPE, "metadata": number},
    ):
        with pytest.raises(Refused) as refused:
            tenant.publish({}, **wrong)
        said.append(refused.value.body)

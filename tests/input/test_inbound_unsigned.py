"""A provider that signs nothing, on a served process, with a stand-in for its API.

Row N08. About some payments the stand-in gave no answer as the process began; by the time that
this file is there, they have mostly been asked for again.
"""

from typing import Final

import pytest
from tests.connectors.answered_by_mollie import PAID, PAYMENT
from tests.support.inbound_load import signed
from tests.support.mollie_stand_in import HOLDS, KEY, SILENT, Mollie
from tests.support.receiving import until
from tests.support.server import Json

_ASKED_S_MAX: Final = 4.0  # a question is given up after five seconds
_AGAIN_S_MAX: Final = 25.0  # what could not be fetched is held for ten seconds


def _ended(mollie: Mollie, form: bytes) -> Json:
    """Call, and return what became of it."""
    held = _held(mollie)
    assert mollie.calls(form).status == 200
    found = until(lambda: _held(mollie), lambda now: len(now) > len(held))
    # The oldest of them: what is asked for comes after it.
    *_, name = [name for name in found if name not in held]
    return until(
        lambda: mollie.on.tenant.api.get(f"{mollie.on.tenant.path}/receipts/{name}"),
        lambda receipt: bool(receipt["state"] != "received"),
    )


def _held(mollie: Mollie) -> list[str]:
    found = f"{mollie.on.tenant.path}/receipts?connector_id=mollie"
    return [one["id"] for one in mollie.on.tenant.api.pages(found)]


@pytest.mark.shows("N08")
def test_what_is_told_is_what_the_provider_answers_and_not_what_came(mollie: Mollie) -> None:
    """Anybody who knows the URL can call it: he can make us ask, and nothing else."""
    mollie.says("tr_open", PAYMENT, PAID)
    with mollie.on.ground.unharmed(stores=True):
        first = _ended(mollie, b"id=tr_open&status=paid&amount[value]=1000000.00")
    assert (first["state"], first["verdict"]) == ("processed", "fetch")
    assert mollie.on.told("tr_open") == [], "it is open, whoever says that it is paid"
    for state in ("processed", "duplicate"):
        assert _ended(mollie, b"id=tr_open")["state"] == state
    assert mollie.on.told("tr_open") == ["payment_succeeded"]
    [event] = mollie.on.tenant.api.pages(f"{mollie.on.tenant.path}/events?object_id=tr_open")
    told = mollie.on.tenant.api.get(f"{mollie.on.tenant.path}/events/{event['id']}")
    assert (told["data"]["amount"], told["data"]["currency"]) == (1_000, "EUR")
    question = ("/v2/payments/tr_open?embed=refunds,chargebacks", f"Bearer {KEY}")
    assert mollie.api.asked["tr_open"] == [question] * 3


@pytest.mark.shows("N08")
def test_what_the_provider_does_not_know_tells_nothing(mollie: Mollie) -> None:
    """A made-up id gets the same answer as a real one, so that nobody can try them out here.

    It is asked for again, as a real one may be known a little later.
    """
    with mollie.on.ground.unharmed(stores=True):
        assert mollie.calls(b"id=tr_nobody").status == 200
        until(lambda: mollie.api.asked["tr_nobody"], lambda asked: len(asked) > 1, s=_AGAIN_S_MAX)
    mollie.api.says("tr_mine", (200, {**PAID, "id": "tr_another"}))
    assert _ended(mollie, b"id=tr_mine")["state"] == "undecodable", "it was about something else"
    for name in ("tr_nobody", "tr_mine", "tr_another"):
        assert mollie.on.told(name) == []


@pytest.mark.shows("N08")
@pytest.mark.parametrize(
    "form",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"id=tr_1/../../organizations/me", id="another path"),
        pytest.param(b"id=tr_1%3Ftestmode=true", id="a query"),
        pytest.param(b"id=tr_1%0d%0aX: y", id="another line"),
        pytest.param(b"id=http://127.0.0.1/", id="a URL"),
        pytest.param(b"id=tr_1&id=tr_2", id="two"),
        pytest.param(b'{"id":"tr_1"}', id="JSON"),
    ],
)
def test_who_calls_does_not_choose_what_is_asked(mollie: Mollie, form: bytes) -> None:
    """The question shows a key: its path must not be somebody else's to write."""
    asked = set(mollie.api.asked)
    with mollie.on.ground.unharmed(stores=True):
        assert _ended(mollie, form)["state"] == "undecodable"
    assert set(mollie.api.asked) == asked


@pytest.mark.shows("N08")
def test_the_call_that_tries_the_url_asks_nothing(mollie: Mollie) -> None:
    """It is made while somebody saves the URL, and wants to hear that we are there."""
    asked = set(mollie.api.asked)
    assert _ended(mollie, b"testByMollie=1")["state"] == "processed"
    assert set(mollie.api.asked) == asked


@pytest.mark.shows("N08")
def test_a_provider_that_says_nothing_holds_up_nobody_else(mollie: Mollie) -> None:
    """Its outage is no reason that another's payments are told of late."""
    on, number = mollie.on, mollie.on.number()
    mollie.api.says("tr_held", (HOLDS, {}))
    assert mollie.calls(b"id=tr_held").status == 200
    until(lambda: mollie.api.asked["tr_held"], bool, s=_ASKED_S_MAX)
    try:
        assert on.send(on.path("owlpay"), *signed(number)).status == 200
        assert until(lambda: on.told(f"pi_{number}"), bool, s=_ASKED_S_MAX)
        assert len(mollie.api.asked["tr_held"]) == 1, "it was silent all along"
    finally:
        mollie.api.let_go.set()


@pytest.mark.shows("N08")
@pytest.mark.parametrize("payment_id", list(SILENT))
def test_who_gets_no_answer_asks_again(mollie: Mollie, payment_id: str) -> None:
    """Mollie has its 200 and will not call again for this: what was stored has to do."""
    told = until(lambda: mollie.on.told(payment_id), bool, s=_AGAIN_S_MAX)
    assert told == ["payment_succeeded"]
    assert len(mollie.api.asked[payment_id]) == 2

"""The same, said once more under another event id, is no news, and what moved in between is."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest
from tests.support.dialect_events import MERCHANT
from tests.support.heard_histories import (
    NOW,
    OF_FAMILY,
    event_of,
    provider_of,
    request_of,
)

from payhooks.catalogue import CATALOGUE
from payhooks.connectors.contract import Heard
from payhooks.connectors.history import folded
from payhooks.connectors.words import Message

pytestmark = pytest.mark.shows("N04")


def _heard(family: str, type_name: str) -> Heard | None:
    provider, options = provider_of(family)
    heard = provider.read(request_of(family, event_of(family, type_name)), options)
    return heard[0] if heard else None


def _told(family: str, *said: Heard) -> list[str]:
    provider, options = provider_of(family)
    messages = [
        Message(heard=_of(heard, at), receipt_id=bytes([at])) for at, heard in enumerate(said)
    ]
    history = folded(
        provider, messages, options, catalogue=CATALOGUE, merchant_id=MERCHANT.id, now=NOW
    )
    return [word.unified for word in history.words]


def _of(heard: Heard, at: int) -> Heard:
    occurred_at = NOW - timedelta(days=1) + timedelta(minutes=at)
    return msgspec.structs.replace(heard, event_id=f"id_{at}", occurred_at=occurred_at)


def _types() -> Iterator[tuple[str, str]]:
    for type_ in CATALOGUE.types:
        if type_.family in OF_FAMILY and type_.example is not None:
            yield type_.family, type_.name


@pytest.mark.parametrize(("family", "type_name"), [*_types()])
def test_it_is_told_once(family: str, type_name: str) -> None:
    """But for parts that were captured: of two equal ones nobody can say that they are one."""
    heard = _heard(family, type_name)
    if heard is None:
        return
    once = _told(family, heard)
    times = 2 if once == ["payment_captured"] else 1
    assert _told(family, heard, heard) == once * times


def test_it_is_told_again_where_the_object_had_been_elsewhere() -> None:
    """A payment that fails, is authorized and fails in the same words has failed twice."""
    failed = _heard("owngateway", "payment_failed")
    authorized = _heard("owngateway", "payment_authorized")
    assert failed is not None
    assert authorized is not None
    authorized = msgspec.structs.replace(authorized, object_id=failed.object_id)
    assert _told("owngateway", failed, authorized, failed) == [
        "payment_failed",
        "payment_authorized",
        "payment_failed",
    ]
    assert _told("owngateway", failed, failed, authorized) == [
        "payment_failed",
        "payment_authorized",
    ]

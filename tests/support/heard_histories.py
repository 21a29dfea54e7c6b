"""Scenarios as the requests that a provider would send of them, and what follows when they come.

Pure: no server, no store. What is told is kept as a process would: after each request the object's
whole history is folded, and what it means that was not told before is told.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Final, NamedTuple

import msgspec
from tests.support.dialect_events import MERCHANT, endpoint_of, new_event_id

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.object_state import fold
from payhooks.connectors import registry, unified
from payhooks.connectors.contract import Heard, Incoming, Keys, Options, Provider, Told
from payhooks.connectors.foloosi import EXTENSION, FOLOOSI_SIGNED, SIGNED
from payhooks.dialects.registry import DIALECTS
from payhooks.ids import EventId
from payhooks.model.event import Event
from payhooks.sandbox import scenarios, script

NOW: Final = datetime(2030, 1, 10, tzinfo=UTC)
SECRET: Final = "a-secret-of-the-merchant"
KEYS: Final = Keys((SECRET,))
OF_FAMILY: Final = ("owlpay", "treezor", "merchant-console", "foloosi", "owngateway")

# Unified event, object, amount and currency.
Word = tuple[str, str, Decimal | None, str | None]


class Written(NamedTuple):
    """A unified event as it is told."""

    name: str
    told: Told
    data: bytes


def provider_of(family: str) -> tuple[Provider, Options]:
    """Return who speaks these words, signed, and the options of a connector for that."""
    if family == "foloosi":
        return FOLOOSI_SIGNED, {SIGNED: EXTENSION}
    return registry.PROVIDERS[family], {}


def request_of(dialect_name: str, event: Event) -> Incoming:
    """Return the request that brings the event, signed."""
    dialect = DIALECTS[dialect_name]
    rendered = dialect.render(event=event, endpoint=endpoint_of(dialect_name), merchant=MERCHANT)
    secret = dialect.signing_secret(SECRET)
    signed = dialect.sign(message_id="msg_1", body=rendered.body, secrets=[secret], now=NOW)
    headers = {name.lower(): value for name, value in signed.headers}
    return Incoming("POST", "", headers, signed.body)


@cache
def played(name: str) -> tuple[Incoming, ...]:
    """Return the requests that tell of the scenario, in order."""
    scenario = scenarios.shipped().scenarios[name]
    wishes = script.Wishes(seed=7)
    said = script.write(scenario, CATALOGUE, wishes, begins_at=NOW - timedelta(days=60))
    return tuple(request_of(scenario.family, _event_of(one)) for one in said.publications)


def event_of(type_family: str, type_name: str) -> Event:
    """Return the catalogue's example of a type as an event."""
    type_ = CATALOGUE.find(type_family, type_name)
    assert type_ is not None
    assert type_.example is not None
    kind = CATALOGUE.kind_of(type_)
    assert kind is not None
    return Event(
        id=new_event_id(),
        merchant_id=MERCHANT.id,
        type=type_name,
        family=type_family,
        data=type_.example,
        object_type=type_.object_type,
        object_id=_main_id(kind.bind, type_.example),
        occurred_at=NOW,
    )


def told_in_the_end(
    provider: Provider, options: Options, requests: Iterable[Incoming]
) -> Counter[Word]:
    """Return all that was told once the last of the requests has come."""
    histories: dict[tuple[str, str], list[Heard]] = {}
    told: dict[tuple[str, str], Counter[Word]] = {}
    for request in requests:
        provider.verify(request, KEYS, NOW, options)
        for heard in provider.read(request, options):
            about = heard.object_type, heard.object_id
            history = histories.setdefault(about, [])
            if not any(_is_same(heard, other) for other in history):
                history.append(heard)
            words = Counter(words_of(provider, options, history))
            told[about] = told.get(about, Counter()) | words
    return sum(told.values(), Counter())


def words_of(provider: Provider, options: Options, history: Sequence[Heard]) -> list[Word]:
    """Return what a history means, in the provider's time."""
    return [word_of(one.name, one.told) for one in written_of(provider, options, history)]


def written_of(provider: Provider, options: Options, history: Sequence[Heard]) -> list[Written]:
    """Return what a history is told as, in the provider's time."""
    events = [_as_event(heard, place) for place, heard in enumerate(history)]
    of_event = dict(zip((event.id for event in events), history, strict=True))
    found = []
    for entry in fold(events, CATALOGUE, now=NOW).entries:
        name = provider.means(entry, options, captured=False)
        if name is not None:
            told = provider.tell(of_event[entry.event.id], name, options)
            data = unified.written(
                told,
                name,
                connector_name="acquirer",
                connector_id_text="con_1",
                merchant=MERCHANT,
                at=NOW,
            )
            found.append(Written(name, told, data))
    return found


def word_of(unified: str, told: Told) -> Word:
    """Return what makes it the same word."""
    return unified, f"{told.object_type} {told.object_id}", told.amount, told.currency


def _is_same(one: Heard, other: Heard) -> bool:
    if one.event_id is None:
        return one.data == other.data and one.word == other.word
    return one.event_id == other.event_id


def _as_event(heard: Heard, place: int) -> Event:
    return Event(
        id=EventId(place.to_bytes(16, "big")),
        merchant_id=MERCHANT.id,
        type=heard.type,
        family=heard.family,
        data=heard.data,
        object_type=heard.object_type,
        object_id=heard.object_id,
        occurred_at=heard.occurred_at,
    )


def _event_of(published: script.Publication) -> Event:
    return Event(
        id=new_event_id(),
        merchant_id=MERCHANT.id,
        type=published.type,
        family=published.family,
        data=published.data,
        object_type=published.object_type,
        object_id=published.object_id,
        occurred_at=published.occurred_at,
        metadata=published.metadata,
    )


def _main_id(bind: Mapping[str, str], example: bytes) -> str:
    data = msgspec.json.decode(example)
    for pointer, template in bind.items():
        if template == "{id}":
            for step in pointer.split("/")[1:]:
                data = data[int(step)] if isinstance(data, list) else data[step]
            break
    return str(data)

"""The machine-readable documents: what they say of events is what is sent."""

import json
from collections.abc import Iterator
from typing import Any, Final

import jsonschema_rs
import msgspec
import pytest
from tests.support.api_world import World
from tests.support.dialect_events import MERCHANT, drawn_events, endpoint_of, spoken

from payhooks.api import documents, event_schemas
from payhooks.catalogue import CATALOGUE
from payhooks.dialects.registry import DIALECTS
from payhooks.model.event_type import EventType

_BYTES_MAX: Final = 1_500_000


def _validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """Return what judges by a schema that refers to the document's components."""
    whole = {**schema, "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(json.dumps(whole), offline=True)


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _resolve(document: dict[str, Any], reference: str) -> object:
    here: Any = document
    for step in reference.removeprefix("#/").split("/"):
        here = here[step]
    return here


@pytest.mark.parametrize("target", ["/openapi.json", "/asyncapi.json"])
async def test_a_document_is_whole_and_of_a_size_that_tools_open(target: str) -> None:
    """A reference into nothing stops the generator of whoever integrates with us."""
    answer = await World().call("GET", target)
    assert answer.status == 200
    assert len(answer.body) < _BYTES_MAX
    found = {one for one in _references(answer.json) if one.startswith("#/")}
    assert found
    for reference in found:
        _resolve(answer.json, reference)
    assert "#/$defs/" not in answer.body.decode()


@pytest.mark.shows("E12")
async def test_the_webhooks_of_openapi_are_the_catalogue_with_examples_that_fit() -> None:
    """Whoever generates a receiver from it gets types that the events have."""
    document = (await World().call("GET", "/openapi.json")).json
    assert list(document["webhooks"]) == [f"{each.family}/{each.name}" for each in CATALOGUE.types]
    for name, item in document["webhooks"].items():
        content = item["post"]["requestBody"]["content"]["application/json"]
        validator = _validator(document, content["schema"])
        assert validator.is_valid(content["example"]), name
        assert not validator.is_valid({**content["example"], "type": "another"}), name
    said = document["webhooks"]["owlpay/payment_intent.captured"]["post"]["description"]
    assert "Designed by us" in said


def _written(dialect: str, type_: EventType) -> object:
    assert type_.example is not None
    [drawn] = drawn_events("standard", count=1, seed=1)
    event = msgspec.structs.replace(
        drawn,
        type=type_.name,
        family=type_.family,
        data=type_.example,
        object_type=type_.object_type,
        object_id="one",
    )
    rendered = spoken(dialect).render(event=event, endpoint=endpoint_of(dialect), merchant=MERCHANT)
    return msgspec.json.decode(rendered.body)


@pytest.mark.shows("E12")
@pytest.mark.parametrize("dialect", sorted(event_schemas.ENVELOPES))
def test_asyncapi_describes_what_a_dialect_writes(dialect: str) -> None:
    """Each message is asked of the bytes that an endpoint of the dialect would be sent."""
    document = documents.asyncapi()
    messages = document["channels"][dialect]["messages"]
    assert document["operations"][f"deliver.{dialect}"]["channel"]["$ref"].endswith(dialect)
    for type_ in CATALOGUE.types:
        message = messages.get(f"{type_.family}.{type_.name}") or messages.get("any")
        if message is not None:
            validator = _validator(document, message["payload"])
            body = _written(dialect, type_)
            assert validator.is_valid(body), (dialect, type_.name, body)
            assert not validator.is_valid({}), type_.name


@pytest.mark.shows("E12")
def test_asyncapi_names_the_dialects_that_cannot_carry_every_event() -> None:
    """Whoever subscribes one of them to everything has deliveries that can only fail."""
    narrow = [name for name in event_schemas.ENVELOPES if not DIALECTS[name].carries_everything]
    description = documents.asyncapi()["info"]["description"]
    assert narrow
    for name in event_schemas.ENVELOPES:
        assert (f"The dialect {name} carries objects of" in description) is (name in narrow), name


def test_asyncapi_has_every_dialect_and_every_type() -> None:
    """One that is missing would be one that nobody is told how to receive."""
    channels = documents.asyncapi()["channels"]
    assert set(channels) == set(DIALECTS) - {"custom"}
    assert set(channels["standard"]["messages"]) == {
        f"{type_.family}.{type_.name}" for type_ in CATALOGUE.types
    }

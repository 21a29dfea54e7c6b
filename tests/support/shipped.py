"""Data that the shipped catalogue has nothing to say against."""

from typing import Any

import msgspec

from payhooks.catalogue import CATALOGUE


def example_of(family: str, name: str) -> dict[str, Any]:
    """Return the example of a type that comes with Payhooks."""
    type_ = CATALOGUE.find(family, name)
    assert type_ is not None
    assert type_.example is not None
    example: dict[str, Any] = msgspec.json.decode(type_.example)
    return example

"""Examples of events: what `payhooks trigger` publishes."""

import pytest

from payhooks.sandbox.samples import sample_of


@pytest.mark.parametrize(
    ("event_type", "object_type"),
    [
        ("payment_intent.succeeded", "payment_intent"),
        ("payment_succeeded", "payment"),
        ("transaction.sale.success", "transaction"),
        ("webhook.created", "object"),
    ],
)
def test_an_event_is_about_the_object_in_its_name(event_type: str, object_type: str) -> None:
    """The longest word counts: a payment intent is no payment."""
    sample = sample_of(event_type, example=None, suffix="1")
    assert (sample.object_type, sample.object_id) == (object_type, f"{object_type}_1")
    assert sample.data["id"] == sample.object_id


def test_an_example_of_the_catalogue_is_copied() -> None:
    """--set edits it; the catalogue's own must stay."""
    example = {"amount": {"value": 1}}
    sample = sample_of("payment_succeeded", example=example, suffix="1")
    sample.data["amount"]["value"] = 2
    assert example == {"amount": {"value": 1}}

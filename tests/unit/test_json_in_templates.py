"""Texts of the sandbox that are JSON themselves, as a provider's ``additionalData`` is."""

from payhooks.sandbox.templates import filled


def test_json_in_a_text_keeps_its_braces_and_has_its_values_filled() -> None:
    """A payin names its payment at the card provider only there: it has to be the run's own."""
    template = '{"card":{"provider":{"reference":"{psp}","amount":"{amount}"}}}'
    text = filled(template, {"psp": "800098404275", "amount": "12.50"})
    assert text == '{"card":{"provider":{"reference":"800098404275","amount":"12.50"}}}'

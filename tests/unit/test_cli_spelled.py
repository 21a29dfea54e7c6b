"""What commands pass on of an event: its numbers as they were published."""

import json

import pytest

from payhooks.cli import output, spelled
from payhooks.cli.client import Answer

AMOUNTS = ["12345678901234567.89", "10.00", "0.10000000000000000001", "1e5", "1" * 5_000, "7", "-3"]


@pytest.mark.parametrize("amount", AMOUNTS)
def test_an_amount_is_shown_as_it_was_published(
    amount: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who compares an event with a bank statement reads every digit, or reads it wrong."""
    body = f'{{"data":{{"amount":{amount}}}}}'.encode()
    event = Answer(status=200, headers={}, body=body).json
    output.record(event)
    output.as_json(event)
    output.highlighted(event)
    record, *indented = capsys.readouterr().out.splitlines()
    assert record == f'data  {{"amount": {amount}}}'
    # Once for programs, once for people.
    assert indented == ["{", '  "data": {', f'    "amount": {amount}', "  }", "}"] * 2


def test_a_number_is_one_to_whoever_computes_with_it() -> None:
    """Counts, times and rates come the same way."""
    read = spelled.read('{"count": 3, "seconds": 2.50, "endless": ' + "1" * 5_000 + "}")
    assert read == {"count": 3, "seconds": 2.5, "endless": float("inf")}
    assert f"{read['seconds']:.0f}" == "2"


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ensure_ascii", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, {"b": []}], "c": {}, "ä": "ö\n\udcff", "d": (None, True)},
        [],
        [[], [{}]],
        None,
        "€",
    ],
)
def test_all_else_is_written_as_python_writes_it(
    value: object, indent: int | None, *, ensure_ascii: bool
) -> None:
    """Scripts read what commands have always printed."""
    written = spelled.write(value, indent=indent, ensure_ascii=ensure_ascii)
    assert written == json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)

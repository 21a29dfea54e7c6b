"""``payhooks verify``: check a captured request and say why."""

from dataclasses import asdict
from typing import Annotated

import typer

from payhooks.cli.exits import ExitCode
from payhooks.cli.inputs import file_bytes, read_bytes
from payhooks.cli.output import AsJson, as_json, line
from payhooks.clock import SystemClock
from payhooks.errors import InvalidError
from payhooks.receiver.__main__ import parse_headers
from payhooks.receiver.explain import explain


def verify(  # noqa: PLR0913 - an option each
    *,
    secret: Annotated[
        list[str],
        typer.Option(help="As the sender shows it; may be given several times."),
    ],
    headers: Annotated[str, typer.Option(help="A file: one per line, or a JSON object.")],
    body: Annotated[str, typer.Option(help="A file with the bytes as they came, or -.")],
    dialect: Annotated[str, typer.Option(help="What the sender speaks.")] = "standard",
    any_age: Annotated[
        bool, typer.Option("--any-age", help="Accept a request from long ago.")
    ] = False,
    json: AsJson = False,
) -> int:
    """Check a captured request step by step; 6 if it does not verify."""
    text = file_bytes(headers, option="--headers").decode("utf-8", "surrogateescape")
    try:
        values = parse_headers(text)
    except ValueError as error:
        raise InvalidError.at("--headers", "malformed", f"In {headers} {error}.") from None
    content = read_bytes(body, option="--body")
    now = SystemClock().now()
    try:
        steps = explain(content, values, secret, now=now, any_age=any_age, dialect=dialect)
    except TypeError as error:
        raise InvalidError.at("--dialect", "unknown_dialect", f"There is {error}") from None
    if json:
        as_json([asdict(step) for step in steps])
    else:
        for step in steps:
            line(f"{'✓' if step.passed else '✗'} {step.name}: {step.words}")
            for advice in step.advice:
                line(f"    {advice}")
    passed = all(step.passed for step in steps)
    return ExitCode.OK if passed else ExitCode.NOT_VERIFIED

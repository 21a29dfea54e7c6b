"""``python -m payhooks.receiver verify``: check a captured request and say why.

Exit codes: 0 it verifies, 6 it does not, 2 the command itself is wrong.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from payhooks.clock import SystemClock
from payhooks.receiver.dialects import DIALECTS
from payhooks.receiver.explain import explain
from payhooks.receiver.verifier import Pairs

EXIT_VERIFIED: Final = 0
EXIT_USAGE: Final = 2
EXIT_REFUSED: Final = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code."""
    given = _parser().parse_args(arguments)
    try:
        headers = parse_headers(given.headers.read_text("utf-8", "surrogateescape"))
        body = given.body.read_bytes()
    except OSError as error:
        sys.stderr.write(f"cannot read {error.filename}: {error.strerror}\n")
        return EXIT_USAGE
    except ValueError as error:
        sys.stderr.write(f"{given.headers}: {error}\n")
        return EXIT_USAGE
    steps = explain(
        body,
        headers,
        given.secret,
        now=SystemClock().now(),
        any_age=given.any_age,
        dialect=given.dialect,
    )
    for step in steps:
        sys.stdout.write(f"{'ok  ' if step.passed else 'FAIL'}  {step.name}: {step.words}\n")
        sys.stdout.writelines(f"        {advice}\n" for advice in step.advice)
    return EXIT_VERIFIED if all(step.passed for step in steps) else EXIT_REFUSED


def parse_headers(text: str) -> Pairs:
    """Return the headers in a file, twins too: ``Name: value`` lines, or one JSON object.

    Raises:
        ValueError: It is neither; says which line.

    """
    if text.lstrip().startswith("{"):
        try:
            found: Pairs = json.loads(text, object_pairs_hook=Pairs)
        except RecursionError:
            raise ValueError("the JSON is nested too deeply") from None
        if not all(isinstance(value, str) for _, value in found):
            raise ValueError("the JSON is not an object of names and text")
        return found
    headers = Pairs()
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, value = line.partition(":")
        if colon and name.strip():
            headers.append((name.strip(), value.strip()))
        elif line.strip() and number > 1:  # the first may be the request line
            raise ValueError(f"line {number} is not a header")
    return headers


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m payhooks.receiver")
    commands = parser.add_subparsers(required=True, metavar="verify")
    verify = commands.add_parser("verify", help="check a captured request and say why")
    verify.add_argument(
        "--secret",
        action="append",
        required=True,
        help="as the sender shows it; may be given several times",
    )
    verify.add_argument(
        "--headers", type=Path, required=True, help="a file: one per line, or a JSON object"
    )
    verify.add_argument(
        "--dialect", choices=sorted(DIALECTS), default="standard", help="what the sender speaks"
    )
    verify.add_argument("--body", type=Path, required=True, help="a file: the bytes as they came")
    verify.add_argument(
        "--any-age", action="store_true", help="accept a request that was captured long ago"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

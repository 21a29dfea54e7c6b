"""``python -m payhooks.publisher``: forward an outbox, and look after what was set aside.

The API key is read from the environment, because every user of a machine sees its commands.
Exit codes: 0 done, 1 something failed that is not for us to mend, 2 the command itself is wrong.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

from payhooks.errors import InvalidError
from payhooks.publisher.forwarder import Forwarder
from payhooks.publisher.opening import open_table
from payhooks.publisher.outbox import table_sql
from payhooks.publisher.table import OutboxTable

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
KEY_VARIABLE: Final = "PAYHOOKS_API_KEY"
DATABASE_VARIABLE: Final = "PAYHOOKS_OUTBOX_DATABASE"
_REPORT_S: Final = 10.0
_LOOK_S: Final = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code."""
    given = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = given.command
    try:
        return command(given)
    except InvalidError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE


def _forward(given: argparse.Namespace) -> int:
    key = os.environ.get(KEY_VARIABLE, "")
    if not key:
        raise InvalidError.at("/key", "missing", f"Set {KEY_VARIABLE} to an API key.")
    forwarder = Forwarder(given.database, given.url, key)
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # No more than this: a handler that takes a lock may wait for the code it interrupted.
        signal.signal(number, lambda received, _frame: told.append(received))
    forwarder.start()
    sys.stderr.write("forwarding\n")
    said = forwarder.progress
    due_s = 0.0
    while not told and forwarder.runs(_LOOK_S):
        progress = forwarder.progress
        if progress != said and time.monotonic() >= due_s:
            _say(asdict(progress))
            said, due_s = progress, time.monotonic() + _REPORT_S
    forwarder.stop()
    _say(asdict(forwarder.progress))
    return EXIT_DONE if told else EXIT_FAILED


def _table(given: argparse.Namespace) -> int:
    sys.stdout.write(table_sql(given.vendor))
    return EXIT_DONE


def _status(given: argparse.Namespace) -> int:
    return _at_table(given, lambda table: _say(asdict(table.counts())))


def _failed(given: argparse.Namespace) -> int:
    return _at_table(given, _say_failed)


def _say_failed(table: OutboxTable) -> None:
    after = 0
    while page := table.failed(after=after):
        for row in page:
            _say(asdict(row))
        after = page[-1].id


def _resend(given: argparse.Namespace) -> int:
    return _at_table(given, lambda table: _say({"resent": table.resend(given.id)}))


def _at_table(given: argparse.Namespace, look: Callable[[OutboxTable], None]) -> int:
    table = open_table(given.database)
    try:
        look(table)
    except table.errors as error:
        sys.stderr.write(f"the database: {error}\n")
        return EXIT_FAILED
    finally:
        table.close()
    return EXIT_DONE


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m payhooks.publisher", description=__doc__)
    commands = parser.add_subparsers(required=True)
    on_database = argparse.ArgumentParser(add_help=False)
    on_database.add_argument(
        "--database",
        default=os.environ.get(DATABASE_VARIABLE, ""),
        help=f"postgresql://… or sqlite:///path; or in {DATABASE_VARIABLE}",
    )
    forward = commands.add_parser(
        "forward", parents=[on_database], help=f"until told to stop; the API key is {KEY_VARIABLE}"
    )
    forward.add_argument("--url", required=True, help="of Payhooks")
    forward.set_defaults(command=_forward)
    table = commands.add_parser("table", help="print the SQL that makes the outbox")
    table.add_argument("vendor", choices=("postgresql", "sqlite"))
    table.set_defaults(command=_table)
    status = commands.add_parser("status", parents=[on_database], help="how many events wait")
    status.set_defaults(command=_status)
    failed = commands.add_parser(
        "failed", parents=[on_database], help="what was set aside, a line of JSON each"
    )
    failed.set_defaults(command=_failed)
    resend = commands.add_parser(
        "resend", parents=[on_database], help="let what was set aside wait again"
    )
    which = resend.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", type=int, help="of one, as `failed` prints it")
    which.add_argument("--all", action="store_true", help="everything")
    resend.set_defaults(command=_resend)
    return parser


if __name__ == "__main__":
    sys.exit(main())

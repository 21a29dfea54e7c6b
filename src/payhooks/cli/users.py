"""``payhooks users``: who may sign in to the console, kept in the store itself."""

import asyncio
import sys
from enum import StrEnum
from typing import Annotated, Final

import typer

from payhooks.cli.output import (
    AsJson,
    Limit,
    MerchantName,
    Yes,
    as_json,
    confirm,
    record,
    say,
    table,
)

group = typer.Typer(
    help="Users of the console. Work on the store itself; a SQLite file must not be served "
    "meanwhile.",
    no_args_is_help=True,
)

_PASSWORD_CHARS_READ: Final = 1_024  # more than any password may have
Name = Annotated[str, typer.Argument(help="Username, e-mail or id.")]


class RoleChoice(StrEnum):
    """What a user may do for one merchant."""

    OWNER = "owner"
    DEVELOPER = "developer"
    SUPPORT = "support"
    VIEWER = "viewer"


@group.command("create")
def create(  # noqa: PLR0913 - one option per member of a user
    username: Annotated[str, typer.Argument(help="How they sign in.")],
    email: Annotated[str, typer.Argument(help="Signs them in as well.")],
    *,
    role: Annotated[
        RoleChoice, typer.Option(help="What they may do for the merchant.")
    ] = RoleChoice.OWNER,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Make a user, in the team of the merchant where one is named."""
    from payhooks.cli import peoplekeeping  # noqa: PLC0415 - start-up time
    from payhooks.model.user import Role  # noqa: PLC0415 - as above

    password = _password(from_stdin=password_stdin)
    made = asyncio.run(
        peoplekeeping.create(username, email, password, merchant=merchant, role=Role(role))
    )
    as_json(made) if json else record(made)
    if not json:
        say(f"Next: {username} signs in under /console of your server, and sets up a second")
        say("factor there: without one, Settings → Webhooks stays shut.")


@group.command("list")
def list_(*, limit: Limit = 20, json: AsJson = False) -> None:
    """List users of the whole installation, newest first."""
    from payhooks.cli import peoplekeeping  # noqa: PLC0415 - start-up time

    found = asyncio.run(peoplekeeping.list_(limit))
    columns = ["id", "username", "email", "two_factor", "disabled_at"]
    as_json(found) if json else table(found, columns)


@group.command("disable")
def disable(user: Name, *, yes: Yes = False, json: AsJson = False) -> None:
    """Sign a user out everywhere, for good."""
    from payhooks.cli import peoplekeeping  # noqa: PLC0415 - start-up time

    confirm(f"Disable {user}? There is no way back.", yes=yes)
    disabled = asyncio.run(peoplekeeping.disable(user))
    as_json(disabled) if json else record(disabled)


@group.command("reset-factor")
def reset_factor(user: Name, *, yes: Yes = False, json: AsJson = False) -> None:
    """Take away the second factor of somebody who lost it, and sign them out everywhere."""
    from payhooks.cli import peoplekeeping  # noqa: PLC0415 - start-up time

    confirm(f"Are you sure that it is {user} who asks?", yes=yes)
    reset = asyncio.run(peoplekeeping.reset_factor(user))
    as_json(reset) if json else record(reset)
    if not json:
        say(f"Next: {reset['username']} signs in with the password and sets up another.")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline(_PASSWORD_CHARS_READ).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "this needs --password-stdin where nobody can be asked", param_hint="--password-stdin"
        )
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password

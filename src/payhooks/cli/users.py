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
from payhooks.errors import InvalidError

group = typer.Typer(
    help="Users of the console. Work on the store itself; a SQLite file must not be served "
    "meanwhile.",
    no_args_is_help=True,
)

_PASSWORD_CHARS_READ: Final = 1_024  # more than any password may have
Name = Annotated[str, typer.Argument(help="Username, e-mail or id.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


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
    password_stdin: PasswordStdin = False,
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


@group.command("set-role")
def set_role(
    user: Name,
    role: Annotated[RoleChoice, typer.Argument(help="What they may do for the merchant.")],
    *,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Give a member of the merchant's team another role, from their next request on."""
    from payhooks.cli import peoplekeeping  # noqa: PLC0415 - start-up time
    from payhooks.model.user import Role  # noqa: PLC0415 - as above

    changed = asyncio.run(peoplekeeping.set_role(user, Role(role), merchant=_named(merchant)))
    as_json(changed) if json else record(changed)


@group.command("remove")
def remove(
    user: Name, *, merchant: MerchantName = None, yes: Yes = False, json: AsJson = False
) -> None:
    """Take a user out of the merchant's team; they stay in those of others."""
    from payhooks.cli import peoplekeeping  # noqa: PLC0415 - start-up time

    named = _named(merchant)
    confirm(f"Take {user} out of the team of {named}?", yes=yes)
    removed = asyncio.run(peoplekeeping.remove(user, merchant=named))
    as_json(removed) if json else record(removed)


@group.command("disable")
def disable(
    user: Name,
    *,
    leave_ownerless: Annotated[
        bool,
        typer.Option(
            "--leave-ownerless",
            help="Also where a merchant's team has no other owner, who could invite anybody.",
        ),
    ] = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Sign a user out everywhere, for good.

    The last owner of a team is refused, unless you say that it may stay without one. Give it one
    again with `payhooks users create`, or with an invitation by the operator's key.
    """
    from payhooks.cli import peoplekeeping  # noqa: PLC0415 - start-up time

    confirm(f"Disable {user}? There is no way back.", yes=yes)
    disabled = asyncio.run(peoplekeeping.disable(user, leave_ownerless=leave_ownerless))
    as_json(disabled) if json else record(disabled)


@group.command("set-password")
def set_password(
    user: Name, *, password_stdin: PasswordStdin = False, yes: Yes = False, json: AsJson = False
) -> None:
    """Give a user who forgot it another password, and sign them out everywhere.

    Their second factor stays. Tell them on a way that you trust, and to change it at once.
    """
    from payhooks.cli import peoplekeeping  # noqa: PLC0415 - start-up time

    confirm(f"Are you sure that it is {user} who asks?", yes=yes)
    changed = asyncio.run(peoplekeeping.set_password(user, _password(from_stdin=password_stdin)))
    as_json(changed) if json else record(changed)
    if not json:
        say(f"Next: {changed['username']} signs in, and changes it under Your account.")


@group.command("reset-factor")
def reset_factor(user: Name, *, yes: Yes = False, json: AsJson = False) -> None:
    """Take away the second factor of somebody who lost it, and sign them out everywhere."""
    from payhooks.cli import peoplekeeping  # noqa: PLC0415 - start-up time

    confirm(f"Are you sure that it is {user} who asks?", yes=yes)
    reset = asyncio.run(peoplekeeping.reset_factor(user))
    as_json(reset) if json else record(reset)
    if not json:
        say(f"Next: {reset['username']} signs in with the password and sets up another.")


def _named(merchant: str | None) -> str:
    if merchant is None:
        raise InvalidError.at("--merchant", "required", "Name the merchant whose team it is.")
    return merchant


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline(_PASSWORD_CHARS_READ).rstrip("\r\n")
    if not sys.stdin.isatty():
        detail = "Nobody can be asked here: give the password on standard input."
        raise InvalidError.at("--password-stdin", "required", detail)
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password

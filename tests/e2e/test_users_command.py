"""`payhooks users`: the first user of a fresh installation, and help for who lost something."""

import asyncio
import base64
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.commands import ENDS_WITHIN_S, PAYHOOKS, environment

from payhooks import ids
from payhooks.bootstrap import open_control
from payhooks.cli.exits import ExitCode
from payhooks.control import merchants, sessions
from payhooks.control import users as people
from payhooks.control.context import SYSTEM
from payhooks.control.merchants import MerchantDraft
from payhooks.control.sessions import Visitor
from payhooks.control.users import UserDraft
from payhooks.errors import UnauthenticatedError
from payhooks.model.merchant import Mode
from payhooks.model.user import Role
from payhooks.ports.controlling import Window
from payhooks.settings import load

CONFLICT = ExitCode.CONFLICT
PASSWORD = "six green bicycles"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Return the settings of an empty installation."""
    return {
        "PAYHOOKS_DATABASE_URL": f"sqlite:///{tmp_path / 'payhooks.db'}",
        "PAYHOOKS_SECRET_KEY": base64.b64encode(os.urandom(32)).decode(),
    }


def users(
    settings: Mapping[str, str], *arguments: str, said: str = ""
) -> subprocess.CompletedProcess[str]:
    """Return what came of one command."""
    return subprocess.run(
        [*PAYHOOKS, "users", *arguments],
        env=environment(**settings),
        input=said,
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )


def test_the_first_user_is_made_found_and_disabled(settings: dict[str, str]) -> None:
    """Before there is one, nobody can invite anybody."""
    made = users(settings, "create", "maria", "m@x.example", "--password-stdin", said=PASSWORD)
    assert made.returncode == 0, made.stderr
    assert "Next: maria signs in under /console" in made.stderr
    assert PASSWORD not in made.stdout + made.stderr
    [listed] = json.loads(users(settings, "list", "--json").stdout)
    assert (listed["username"], listed["two_factor"], listed["disabled_at"]) == (
        "maria",
        False,
        None,
    )
    assert re.fullmatch(r"[-\d]{10}T[:\d]{8}\.\d{3}Z", listed["created_at"]), "as everywhere"
    reset = users(settings, "reset-factor", "m@x.example", "--yes", "--json")
    assert json.loads(reset.stdout) == listed
    disabled = users(settings, "disable", listed["id"], "--yes", "--json")
    assert json.loads(disabled.stdout)["disabled_at"] is not None


def test_a_merchants_team_is_kept_and_its_last_owner_too(settings: dict[str, str]) -> None:
    """An operator who clears up after somebody must not lock a merchant out."""
    merchant = asyncio.run(made_team(settings, maria=Role.OWNER, ines=Role.VIEWER))
    refused = users(settings, "disable", "maria", "--yes")
    assert refused.returncode == CONFLICT
    assert f"Nobody but maria owns Bakery ({merchant})." in refused.stderr
    assert "--leave-ownerless" in refused.stderr
    promoted = users(settings, "set-role", "ines", "owner", "-m", merchant, "--json")
    assert json.loads(promoted.stdout)["role"] == "owner"
    removed = users(settings, "remove", "maria", "-m", merchant, "--yes")
    assert removed.returncode == 0, removed.stderr
    alone = users(settings, "disable", "ines", "--yes", "--leave-ownerless", "--json")
    assert json.loads(alone.stdout)["disabled_at"] is not None


def test_a_forgotten_password_is_replaced_by_who_runs_the_installation(
    settings: dict[str, str],
) -> None:
    """What the page behind "Forgot your password?" says has to work."""
    users(settings, "create", "maria", "m@x.example", "--password-stdin", said=PASSWORD)
    another = "eleven quiet otters"
    done = users(settings, "set-password", "maria", "--yes", "--password-stdin", said=another)
    assert done.returncode == 0, done.stderr
    assert another not in done.stdout + done.stderr
    assert asyncio.run(signs_in(settings, another))
    assert not asyncio.run(signs_in(settings, PASSWORD))


async def made_team(settings: Mapping[str, str], **members: Role) -> str:
    """Return the id of a merchant with this team."""
    control = await open_control(load(settings))
    try:
        named = MerchantDraft(name="Bakery")
        merchant = await merchants.create(control, SYSTEM, Mode.SANDBOX, named)
        for name, role in members.items():
            email = f"{name}@x.example"
            draft = UserDraft(
                username=name, email=email, password=PASSWORD, merchant=merchant, role=role
            )
            await people.create(control, SYSTEM, draft)
    finally:
        await control.store.close()
    return ids.to_text(ids.MERCHANT, merchant.id)


async def signs_in(settings: Mapping[str, str], password: str) -> bool:
    """Whether maria comes in with this password."""
    control = await open_control(load(settings))
    try:
        await sessions.sign_in(control, Visitor(ip=None), name="maria", password=password)
    except UnauthenticatedError:
        return False
    finally:
        await control.store.close()
    return True


async def nobody_is_there(settings: Mapping[str, str]) -> bool:
    """Whether the installation has no users; asked here, because a command takes a second."""
    control = await open_control(load(settings))
    try:
        return await control.store.users(Window(limit=1)) == []
    finally:
        await control.store.close()


@pytest.mark.parametrize(
    ("arguments", "said", "words"),
    [
        pytest.param(
            ["create", "maria", "m@x.example"], "", "--password-stdin", id="nobody to ask"
        ),
        pytest.param(
            ["create", "maria", "m@x.example", "--password-stdin"], "short\n", "12", id="short"
        ),
        pytest.param(
            ["create", "m@x", "nobody", "--password-stdin"], PASSWORD, "/username", id="no names"
        ),
        pytest.param(
            ["create", "maria", "m@x.example", "--password-stdin", "-m", "nobody"],
            PASSWORD,
            "no such merchant",
            id="no merchant",
        ),
        pytest.param(["disable", "nobody", "--yes"], "", "no such user", id="no user"),
        pytest.param(["disable", "maria"], "", "--yes", id="nobody agrees"),
        pytest.param(["reset-factor", "maria"], "", "--yes", id="nobody says who asks"),
        pytest.param(["set-role", "maria", "owner"], "", "--merchant", id="a role for nobody"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    settings: dict[str, str], arguments: list[str], said: str, words: str
) -> None:
    done = users(settings, *arguments, said=said)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert asyncio.run(nobody_is_there(settings))

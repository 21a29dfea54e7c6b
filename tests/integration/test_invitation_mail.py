"""Invitations and the mail server: what the inviter is told, and what arrives."""

import asyncio
import re
from collections.abc import Callable
from email import message_from_string
from email.policy import default
from pathlib import Path
from typing import Final

import pytest
from tests.support.browsing import Browser, ConsoleWorld
from tests.support.mail_server import MailServer
from tests.support.server import Api, Json, Server, Tenant, sqlite_url

from payhooks.transport.mail import SmtpMailer

TEAM: Final = "/console/settings/team"
LINK: Final = re.compile(r"https://payhooks\.test/console/invitations/[A-Za-z0-9_-]{43}")


def mail_of(server: MailServer) -> str:
    """Return the text of the mail that was heard, as its reader sees it."""
    lines = server.heard[server.heard.index("data") + 1 : server.heard.index(".")]
    body = message_from_string("\n".join(lines), policy=default).get_body()
    assert body is not None
    text: str = body.get_content()
    return text


async def invited(world: ConsoleWorld, mailer: SmtpMailer) -> str:
    """Return the page that an owner sees after inviting somebody."""
    object.__setattr__(world.control, "mailer", mailer)
    browser = await Browser(world).sign_in(await world.person(await world.tenant("Café & Söhne")))
    await browser.get(TEAM)
    seen = await browser.post(
        f"{TEAM}/invitations", {"email": "new@shop.example", "role": "viewer"}
    )
    assert (seen.status, seen.heading) == (200, "Invitation")
    return seen.text


async def test_the_link_that_is_shown_is_the_one_that_is_mailed() -> None:
    """Whoever is invited by mail and by hand has to come in by either."""
    async with MailServer().running() as server:
        page = await invited(ConsoleWorld(), SmtpMailer(f"smtp://127.0.0.1:{server.port}"))
    [shown] = set(LINK.findall(page))
    text = mail_of(server)
    assert LINK.findall(text) == [shown]
    assert "Café & Söhne" in text
    assert "The link below went out by mail." in page


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(lambda: MailServer(rejects="RCPT"), id="it refuses the address"),
        pytest.param(lambda: MailServer(rejects="MAIL"), id="it refuses us"),
        pytest.param(None, id="it is away"),
    ],
)
async def test_a_mail_that_did_not_leave_is_said_in_words_and_the_link_is_shown(
    server: Callable[[], MailServer] | None,
) -> None:
    """The inviter thinks otherwise that somebody is asked who never hears of it."""
    async with (server or MailServer)().running() as there:
        url = f"smtp://127.0.0.1:{there.port}"
        if server is not None:
            page = await invited(ConsoleWorld(), SmtpMailer(url))
    if server is None:
        page = await invited(ConsoleWorld(), SmtpMailer(url))
    assert "The mail server did not take the mail: send the link yourself" in page
    assert len(set(LINK.findall(page))) == 1


async def test_a_served_process_mails_where_its_settings_say(tmp_path: Path) -> None:
    """The settings, the process and the socket, as an operator puts them together."""
    async with MailServer().running() as mail:
        address = f"smtp://127.0.0.1:{mail.port}?from=hooks%40example.com"
        with sqlite_url(tmp_path) as url:
            environment = {"PAYHOOKS_SMTP_URL": address}
            server = Server(tmp_path / "server", url, environment=environment)
            try:
                await server.start_async()
                said = await asyncio.to_thread(_invite, server)
            finally:
                server.close()
    assert said["mailed"] is True
    assert said["url"] in mail_of(mail)
    assert "mail FROM:<hooks@example.com>" in [line.partition(" size")[0] for line in mail.heard]


def _invite(server: Server) -> Json:
    tenant = Tenant(Api(server.port))
    body = {"email": "new@shop.example", "role": "viewer"}
    return tenant.api.post(f"{tenant.path}/invitations", body)

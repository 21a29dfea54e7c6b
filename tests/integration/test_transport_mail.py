"""Mail over real sockets: to the operator's server, whole, or said not to have left."""

import base64

import pytest
from tests.support.mail_server import MailServer

from payhooks.errors import UnavailableError
from payhooks.ports.mailing import Mail
from payhooks.transport.mail import SmtpMailer

MAIL = Mail(to="ines@shop.example", subject="Invitation to Café", text="Open this:\nhttps://x/y\n")


async def test_a_mail_arrives_whole() -> None:
    async with MailServer().running() as server:
        url = f"smtp://127.0.0.1:{server.port}?from=hooks%40example.com"
        await SmtpMailer(url).send(MAIL)
    assert "mail FROM:<hooks@example.com>" in [line.partition(" size")[0] for line in server.heard]
    assert "rcpt TO:<ines@shop.example>" in server.heard
    assert "https://x/y" in server.heard
    assert "Subject: Invitation to =?utf-8?q?Caf=C3=A9?=" in server.heard


async def test_a_password_is_given_to_this_machine_and_to_no_other_in_the_clear() -> None:
    """A server in the middle that hides its TLS must not be told the password."""
    async with MailServer().running() as server:
        await SmtpMailer(f"smtp://hooks%40a.example:s%2Fcret@127.0.0.1:{server.port}").send(MAIL)
        told = base64.b64encode(b"\0hooks@a.example\0s/cret").decode()
        assert f"AUTH PLAIN {told}" in server.heard
    # Another name of this machine, which stands for any other.
    async with MailServer("127.0.0.2").running() as server:
        elsewhere = SmtpMailer(f"smtp://hooks:s%2Fcret@127.0.0.2:{server.port}")
        with pytest.raises(UnavailableError):
            await elsewhere.send(MAIL)
        assert not [line for line in server.heard if line.startswith("AUTH")]


@pytest.mark.parametrize("rejects", ["MAIL", "RCPT", "DATA"])
async def test_a_mail_that_is_not_taken_is_said_not_to_have_left(rejects: str) -> None:
    """Our words, not the server's: those may repeat a password or a link."""
    async with MailServer(rejects=rejects).running() as server:
        with pytest.raises(UnavailableError) as refused:
            await SmtpMailer(f"smtp://127.0.0.1:{server.port}").send(MAIL)
    assert "ines" not in str(refused.value)
    assert str(refused.value).startswith("the mail server: ")


async def test_a_server_that_is_away_or_speaks_no_tls_is_told_in_time() -> None:
    async with MailServer().running() as server:
        port = server.port
        with pytest.raises(UnavailableError):
            await SmtpMailer(f"smtps://127.0.0.1:{port}").send(MAIL)
    with pytest.raises(UnavailableError):
        await SmtpMailer(f"smtp://127.0.0.1:{port}").send(MAIL)

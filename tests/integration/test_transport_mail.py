"""Mail over real sockets: to the operator's server, whole, or said not to have left."""

import base64
import ssl
from pathlib import Path

import msgspec
import pytest
from tests.support.certificates import make_authority, server_context
from tests.support.mail_server import MailServer

from payhooks.errors import UnavailableError
from payhooks.ports.mailing import Mail
from payhooks.transport.mail import SmtpMailer

_HEADERS = (
    *("From", "To", "Subject", "Date", "Message-ID"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
)
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


@pytest.mark.parametrize("from_the_start", [True, False], ids=["smtps", "STARTTLS"])
async def test_a_mail_goes_under_tls_to_a_server_that_is_who_it_says(
    tmp_path: Path, *, from_the_start: bool
) -> None:
    """The link in it lets whoever reads it on its way into a team."""
    authority = make_authority()
    context = server_context(tmp_path, authority, host="127.0.0.1")
    trusted = ssl.create_default_context(cafile=authority.bundle(tmp_path))
    server = MailServer(tls=context) if from_the_start else MailServer(starttls=context)
    scheme = "smtps" if from_the_start else "smtp"
    async with server.running():
        url = f"{scheme}://hooks:s%2Fcret@127.0.0.1:{server.port}"
        await SmtpMailer(url, trusted=trusted).send(MAIL)
        assert "https://x/y" in server.secure
        begun = server.heard.index("STARTTLS") + 1 if not from_the_start else 0
        assert server.heard[begun:] == server.secure
        assert [line for line in server.secure if line.startswith("AUTH")]


@pytest.mark.parametrize("from_the_start", [True, False], ids=["smtps", "STARTTLS"])
@pytest.mark.parametrize("wrong", ["nobody we trust", "another name", "over"])
async def test_a_server_that_may_be_somebody_else_gets_no_mail(
    tmp_path: Path, wrong: str, *, from_the_start: bool
) -> None:
    """Nor does it go in the clear then: that is what whoever stands between us would like."""
    authority, other = make_authority(), make_authority("Other")
    context = server_context(
        tmp_path,
        other if wrong == "nobody we trust" else authority,
        host="mail.example" if wrong == "another name" else "127.0.0.1",
        days=(-2, -1) if wrong == "over" else (-1, 1),
    )
    trusted = ssl.create_default_context(cafile=authority.bundle(tmp_path))
    server = MailServer(tls=context) if from_the_start else MailServer(starttls=context)
    scheme = "smtps" if from_the_start else "smtp"
    async with server.running():
        url = f"{scheme}://hooks:s%2Fcret@127.0.0.1:{server.port}"
        with pytest.raises(UnavailableError) as refused:
            await SmtpMailer(url, trusted=trusted).send(MAIL)
    assert str(refused.value) == "the mail server: SSLCertVerificationError"
    assert not [line for line in server.heard if line.startswith(("AUTH", "mail", "rcpt"))]


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        pytest.param("A\r\nBcc: all@x.example", "ABcc: all@x.example", id="a line of its own"),
        pytest.param("A\nX: y\n\nbody", "AX: ybody", id="a body of its own"),
        pytest.param("A\u2028B\x85C\0D", "ABCD", id="what some take for a line"),
        pytest.param("=?utf-8?q?A=0ABcc:_b=40x?=", None, id="a line that is written in letters"),
        pytest.param("x" * 400, None, id="longer than a line may be"),
    ],
)
async def test_what_people_call_themselves_is_one_header_and_no_more(
    name: str, subject: str | None
) -> None:
    """A merchant's name is written by a merchant, and the server obeys headers."""
    async with MailServer().running() as server:
        mail = msgspec.structs.replace(MAIL, subject=name)
        await SmtpMailer(f"smtp://127.0.0.1:{server.port}").send(mail)
    assert [line for line in server.heard if line.startswith("rcpt")] == [
        "rcpt TO:<ines@shop.example>"
    ]
    headers = server.heard[server.heard.index("data") + 1 : server.heard.index("")]
    names = {line.partition(":")[0] for line in headers if not line.startswith(" ")}
    assert names == {*_HEADERS}
    assert len(headers) - sum(line.startswith(" ") for line in headers) == len(_HEADERS)
    if subject is not None:
        assert f"Subject: {subject}" in headers


async def test_what_cannot_be_a_mail_is_said_not_to_have_left() -> None:
    """Whatever an address is by then, the invitation is made and its link has to be shown."""
    async with MailServer().running() as server:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{server.port}")
        for to in (
            "ines@shop.example\r\nBcc: x@y.example",
            "in\ud800s@shop.example",
            "=?utf-8?q?a=0ABcc=3A_b=40x.example=0A?=@shop.example",
        ):
            with pytest.raises(UnavailableError):
                await mailer.send(msgspec.structs.replace(MAIL, to=to))
    assert not [line for line in server.heard if line.startswith("data")]

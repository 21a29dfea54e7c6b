"""Mail through the one server that the operator named; nobody else chooses where it goes.

A password is sent over TLS only, but to this machine itself.
"""

import asyncio
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from payhooks import limits
from payhooks.errors import UnavailableError
from payhooks.ports.mailing import Mail

_PORTS: Final = {"smtp": 587, "smtps": 465}
# Begins an encoded word of RFC 2047. The library decodes those in a subject that it is given, and
# what comes out goes into the mail as it is: a line feed, and a header behind it.
_ENCODED: Final = "=?"
_OWN_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class SmtpMailer:
    """See Mailer. *url* is ``smtp://`` (TLS where it is offered) or ``smtps://`` (from the start).

    One mail at a time, on a thread of its own: a server that drips holds up the next mail alone.
    """

    def __init__(self, url: str, *, trusted: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None, "settings have checked it"
        self._from_start = parts.scheme == "smtps"
        self._host = parts.hostname
        self._port = parts.port or _PORTS[parts.scheme]
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")
        known_as = self._user if "@" in self._user else f"payhooks@{self._host}"
        self._from = parse_qs(parts.query).get("from", [known_as])[0]
        self._trusted = trusted or ssl.create_default_context()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="payhooks-mail")

    async def send(self, mail: Mail) -> None:
        """See Mailer."""
        sending = asyncio.get_running_loop().run_in_executor(self._thread, self._send, mail)
        try:
            async with asyncio.timeout(limits.MAIL_TIMEOUT_S):
                await sending
        except (OSError, smtplib.SMTPException, ValueError) as error:
            # TimeoutError is an OSError, and what cannot be written as a mail is a ValueError.
            # None is quoted: what the server said may repeat what it was told.
            raise UnavailableError(f"the mail server: {type(error).__name__}") from None

    def _send(self, mail: Mail) -> None:
        message = EmailMessage()
        message["From"] = self._from
        message["To"] = mail.to
        # A header is one line; what were more would be refused, or be headers of somebody else's.
        line = "".join(filter(str.isprintable, mail.subject))
        message["Subject"] = line.replace(_ENCODED, "= ?")
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain="payhooks.invalid")
        message.set_content(mail.text)
        with self._connected() as server:
            # Named, rather than read from the header: what is one address here stays one there.
            server.send_message(message, to_addrs=[mail.to])

    def _connected(self) -> smtplib.SMTP:
        where = (self._host, self._port)
        timeout_s = limits.MAIL_TIMEOUT_S
        if self._from_start:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                *where, timeout=timeout_s, context=self._trusted
            )
        else:
            server = smtplib.SMTP(*where, timeout=timeout_s)
        try:
            self._greet(server)
        except BaseException:
            server.close()
            raise
        return server

    def _greet(self, server: smtplib.SMTP) -> None:
        secure = self._from_start
        server.ehlo()
        if not secure and server.has_extn("starttls"):
            server.starttls(context=self._trusted)
            server.ehlo()
            secure = True
        if self._password:
            if not secure and self._host not in _OWN_HOSTS:
                raise smtplib.SMTPNotSupportedError("no TLS for a password")
            server.login(self._user, self._password)

"""A mail server of a few lines: takes one conversation at a time and keeps what it was told."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_ANSWERS: Final = {"DATA": b"354 go on\r\n", "AUTH": b"235 hello\r\n", "QUIT": b"221 bye\r\n"}


class MailServer:
    """What was said, line by line; ``rejects`` is the command that it answers with 550.

    TLS from the start, or once it is asked for; ``secure`` is what was said under TLS.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        rejects: str | None = None,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
    ) -> None:
        self.heard: list[str] = []
        self.secure: list[str] = []
        self.port = 0
        self._host = host
        self._rejects = rejects
        self._tls = tls
        self._starttls = starttls

    @asynccontextmanager
    async def running(self) -> AsyncIterator["MailServer"]:
        """Listen on a free port of this machine."""
        server = await asyncio.start_server(self._talk, self._host, self.port, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\r\n")
        in_data = False
        while raw := await reader.readline():
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            self.heard.append(line)
            if writer.get_extra_info("ssl_object") is not None:
                self.secure.append(line)
            if in_data:
                in_data = line != "."
            if in_data:
                continue
            command = line.partition(" ")[0].upper()
            in_data = command == "DATA" and self._rejects != "DATA"
            writer.write(self._answer(command))
            if command == "STARTTLS" and self._starttls is not None:
                await writer.start_tls(self._starttls)
            if command == "QUIT":
                break
        writer.close()

    def _answer(self, command: str) -> bytes:
        if command == self._rejects:
            return b"550 no\r\n"
        match command:
            case "EHLO":
                offered = b"" if self._starttls is None else b"250-STARTTLS\r\n"
                return b"250-mail.example\r\n" + offered + b"250 AUTH PLAIN\r\n"
            case "STARTTLS":
                return b"220 go on\r\n" if self._starttls else b"502 what\r\n"
            case _:
                return _ANSWERS.get(command, b"250 ok\r\n")

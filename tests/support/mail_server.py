"""A mail server of a few lines: takes one conversation at a time and keeps what it was told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class MailServer:
    """What was said, line by line; ``rejects`` is the command that it answers with 550."""

    def __init__(self, host: str = "127.0.0.1", *, rejects: str | None = None) -> None:
        self.heard: list[str] = []
        self.port = 0
        self._host = host
        self._rejects = rejects

    @asynccontextmanager
    async def running(self) -> AsyncIterator["MailServer"]:
        """Listen on a free port of this machine."""
        server = await asyncio.start_server(self._talk, self._host, 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\r\n")
        in_data = False
        while raw := await reader.readline():
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            self.heard.append(line)
            if in_data:
                in_data = line != "."
            if in_data:
                continue
            command = line.partition(" ")[0].upper()
            in_data = command == "DATA" and self._rejects != "DATA"
            writer.write(self._answer(command))
            if command == "QUIT":
                break
        writer.close()

    def _answer(self, command: str) -> bytes:
        if command == self._rejects:
            return b"550 no\r\n"
        match command:
            case "EHLO":
                return b"250-mail.example\r\n250 AUTH PLAIN\r\n"
            case "DATA":
                return b"354 go on\r\n"
            case "AUTH":
                return b"235 hello\r\n"
            case "QUIT":
                return b"221 bye\r\n"
            case _:
                return b"250 ok\r\n"

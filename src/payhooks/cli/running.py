"""One process from settings until a signal: on uvloop, with what its machine needs set."""

import contextlib
import os
import signal
import socket
import threading
from typing import Final

import uvloop

from payhooks import serving
from payhooks.bootstrap import open_process
from payhooks.cli import local
from payhooks.cli.output import say
from payhooks.errors import UnavailableError
from payhooks.settings import Settings

STDIN: Final = 0


def serve(settings: Settings, *, sends: bool, shared: bool) -> None:
    """Serve until SIGTERM or SIGINT, then drain; *shared* where others have the port too.

    Raises:
        UnavailableError: The port is taken, or the store cannot be reached.
        WrongStateError: Another process has the SQLite file.

    """
    listener = bind(settings, shared=shared)

    async def run() -> None:
        process = await open_process(settings, sends=sends)
        serving.prepare_process()
        if not shared:
            # From here on a connection waits for us and is not refused.
            listener.listen(serving.BACKLOG)
            tell(f"Serving at {url_at(listener)}; Ctrl-C stops it.")
        await serving.serve(process, listener)

    with listener:
        uvloop.run(run())


def work(settings: Settings) -> None:
    """Send until SIGTERM or SIGINT, then drain.

    Raises:
        UnavailableError, WrongStateError: As for ``serve``.

    """

    async def run() -> None:
        process = await open_process(settings)
        serving.prepare_process()
        await serving.work(process)

    uvloop.run(run())


def bind(settings: Settings, *, shared: bool) -> socket.socket:
    """Return the socket to listen on.

    Raises:
        UnavailableError: It cannot be had.

    """
    host, port = settings.host_and_port
    try:
        return serving.bind(host, port, shared=shared)
    except OSError as error:
        raise UnavailableError(f"cannot listen on {settings.listen}: {error.strerror}") from None


def url_at(listener: socket.socket) -> str:
    """Return where this socket is to be reached: its port, where the system chose it."""
    host, port = listener.getsockname()[:2]
    return local.url_of(host, port)


def tell(words: str) -> None:
    """Tell whoever started a server; that nobody reads it keeps nothing from being served."""
    with contextlib.suppress(OSError):
        say(words)


def end_with_parent() -> None:
    """Stop this process when standard input ends: whoever started it holds the other end.

    A parent that was killed forwards no signal; its children would go on without it.
    """

    def wait() -> None:
        # Not sys.stdin: its lock, held by this thread, would break off a process that ends.
        while os.read(STDIN, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()

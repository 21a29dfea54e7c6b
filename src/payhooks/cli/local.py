"""What commands share that work on the store themselves: settings, control, who asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import environ
from typing import Final

from payhooks.bootstrap import open_control
from payhooks.control.context import Caller, Control
from payhooks.model.key import Scope
from payhooks.settings import Settings, load

# Whoever may read the settings may do everything; the audit log says it was from here.
CALLER: Final = Caller(actor="cli", scopes=frozenset({Scope.OPERATOR}))


def settings() -> Settings:
    """Return the settings of the environment.

    Raises:
        InvalidError: Names everything that is missing or wrong.

    """
    return load(environ)


def url_of(host: str, port: int) -> str:
    """Return where a server is that listens there."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@asynccontextmanager
async def control() -> AsyncIterator[Control]:
    """Yield the control plane over the store that the settings name.

    Raises:
        WrongStateError: A server has the SQLite file.
        UnavailableError: The store cannot be reached.

    """
    opened = await open_control(settings())
    try:
        yield opened
    finally:
        await opened.store.close()

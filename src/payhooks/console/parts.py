"""What the console works with, made once when the server puts itself together."""

from collections.abc import Callable
from dataclasses import dataclass, field

from payhooks.control.context import Control
from payhooks.control.event_types import TypeBook
from payhooks.flow.accept import Acceptor
from payhooks.flow.routing import Directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts behind the pages: those of the API, and some of the console's own."""

    control: Control
    acceptor: Acceptor
    directory: Directory
    book: TypeBook
    owner: int  # of this process, for leases it takes itself
    # Binds forms to sessions. Equal in every process, so that any of them takes any form.
    form_key: bytes = field(repr=False)
    factor_s: float  # how long a second factor opens the gate
    address_of: Callable[..., str | None]  # from an ASGI scope to the caller's address

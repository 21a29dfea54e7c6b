"""What the API works with, made once by the composition root."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from payhooks.api.peers import Peers
from payhooks.control.context import Control
from payhooks.control.event_types import TypeBook
from payhooks.flow.accept import Acceptor
from payhooks.flow.receive import Receiver
from payhooks.flow.routing import Directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether this process can do its work, and what it found out on the way."""

    ready: bool
    checks: dict[str, str]  # by name: "ok", or what is wrong, in words without secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts behind the routes."""

    control: Control
    acceptor: Acceptor
    directory: Directory
    receiver: Receiver
    book: TypeBook
    owner: int  # of this process, for leases it takes itself
    operator_digest: bytes | None  # SHA-256 of the operator key in the settings, if there is one
    cursor_key: bytes = field(repr=False)
    ready: Callable[[], Awaitable[Readiness]]
    metrics: Callable[[], tuple[str, bytes]]  # content type and text
    peers: Peers = field(default_factory=Peers)
    console_factor_s: float = 900.0  # how long a second factor opens what lies behind it
    on_bug: Callable[[BaseException, str], None]  # told of what nobody expected, with request id

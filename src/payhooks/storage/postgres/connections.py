"""Connections to PostgreSQL: few, each with one use, dropped at the first doubt.

Nothing is kept in a session that the next statement would miss (no LISTEN, no session locks, no
temporary tables), so every connection may be replaced between two statements, and PgBouncer in
transaction mode may do so as well. With ``?pgbouncer=true`` in the URL nothing is prepared or
set either; give the role its limits instead:

    ALTER ROLE payhooks SET statement_timeout = '2s';
    ALTER ROLE payhooks SET lock_timeout = '250ms';
    ALTER ROLE payhooks SET idle_in_transaction_session_timeout = '5s';
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Protocol, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped] # It ships no types; what we use is typed below.

from payhooks import limits
from payhooks.clock import Clock
from payhooks.errors import ConflictError, InvalidError, OutcomeUnknownError, UnavailableError

_Result = TypeVar("_Result")

# Longer than the server's own limit, so that it is the server that gives up, and says so.
CLIENT_TIMEOUT_S: Final = limits.STATEMENT_TIMEOUT_S + 0.5
_BACK_OFF_S_MIN: Final = 0.1
_BACK_OFF_S_MAX: Final = 5.0
_LATELY_S: Final = 0.5  # who was answered then speaks against whoever was not
_ATTEMPTS_MAX: Final = 4  # of a statement that lost to another one
_PGBOUNCER: Final = "pgbouncer"

_SERVER_SETTINGS: Final = {
    "application_name": "payhooks",
    "statement_timeout": f"{int(limits.STATEMENT_TIMEOUT_S * 1000)}ms",
    "lock_timeout": f"{int(limits.LOCK_TIMEOUT_S * 1000)}ms",
    "idle_in_transaction_session_timeout": "5s",
    # Compiling a plan costs more than any of ours takes to run.
    "jit": "off",
}

# The server has rolled back: trying again at once may succeed.
_LOST_TO_ANOTHER: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
# The server has said no and rolled back; later it may say yes.
_REFUSED: Final = (
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
# Nobody said anything, or what was said does not tell whether it was committed.
_LOST: Final = (
    OSError,  # TimeoutError too
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresIOError,
    asyncpg.InternalServerError,
    asyncpg.InterfaceError,
    # The driver got the server's goodbye in the middle of asking.
    asyncpg.InternalClientError,
)


Row: TypeAlias = Mapping[str, Any]


class Connection(Protocol):
    """What we use of asyncpg's connection."""

    async def fetch(self, query: str, *args: object) -> list[Row]:
        """Return the rows of one statement."""
        ...

    async def fetchrow(self, query: str, *args: object) -> Row | None:
        """Return the first row of one statement."""
        ...

    async def execute(self, query: str, *args: object) -> str:
        """Run one statement; several where there are no arguments."""
        ...

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - theirs
        """Say goodbye and close."""
        ...

    async def set_type_codec(
        self,
        typename: str,
        *,
        schema: str,
        encoder: Callable[[bytes], bytes],
        decoder: Callable[[bytes], bytes],
        format: str,  # noqa: A002 - theirs
    ) -> None:
        """Say how values of one type are read and written."""
        ...

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[object]:
        """Return a transaction, or inside one a savepoint."""
        ...

    def is_closed(self) -> bool:
        """Return whether it is closed, as far as is known."""
        ...

    def terminate(self) -> None:
        """Close without a word."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect and how."""

    url: str
    pgbouncer: bool

    @classmethod
    def of(cls, url: str) -> "Target":
        """Return the target that *url* names, our own option taken out of it."""
        parts = urlsplit(url)
        options = parse_qsl(parts.query)
        rest = [(name, value) for name, value in options if name != _PGBOUNCER]
        pgbouncer = dict(options).get(_PGBOUNCER, "false") == "true"
        return cls(url=urlunsplit(parts._replace(query=urlencode(rest))), pgbouncer=pgbouncer)

    async def connect(self, *, command_timeout_s: float | None = CLIENT_TIMEOUT_S) -> Connection:
        """Return a new connection, on which ids are sixteen bytes.

        Raises:
            UnavailableError: The server cannot be reached or does not want us.

        """
        try:
            connection: Connection = await asyncpg.connect(
                self.url,
                timeout=CLIENT_TIMEOUT_S,
                command_timeout=command_timeout_s,
                statement_cache_size=0 if self.pgbouncer else 256,
                server_settings=None if self.pgbouncer else _SERVER_SETTINGS,
            )
            await connection.set_type_codec(
                "uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
            )
        except (*_LOST, asyncpg.PostgresError) as error:
            raise UnavailableError(f"PostgreSQL: {type(error).__name__}: {error}") from error
        except ValueError as error:
            # Its words would repeat what could not be read: a part of the URL.
            raise UnavailableError("PostgreSQL: the URL cannot be understood") from error
        return connection


class Reachability:
    """When to try to connect again, for all uses of one server: what one finds out, all know."""

    def __init__(self, *, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._failures = 0
        self._not_before_s = 0.0
        self._answered_s = -_LATELY_S

    def demand(self) -> None:
        """Refuse where it is too early to connect: who waited would wait in a second queue.

        Raises:
            UnavailableError: It is too early.

        """
        now_s = self._clock.monotonic_s()
        if now_s < self._not_before_s:
            raise UnavailableError(
                "PostgreSQL could not be reached", retry_after_s=self._not_before_s - now_s
            )

    def answered(self) -> None:
        """Note that the server answered somebody: whoever waits to try may do so now."""
        self._failures = 0
        self._not_before_s = 0.0
        self._answered_s = self._clock.monotonic_s()

    def failed(self) -> None:
        """Note that the server did not answer somebody."""
        now_s = self._clock.monotonic_s()
        # It answers others, or this is the same failure once more.
        if now_s < self._answered_s + _LATELY_S or now_s < self._not_before_s:
            return
        delay_s = min(_BACK_OFF_S_MIN * 2**self._failures, _BACK_OFF_S_MAX)
        self._failures = min(self._failures + 1, 16)
        # Jitter, or every process of a restarted server's clients would come at once.
        self._not_before_s = now_s + delay_s * (0.5 + self._random.random() / 2)


class Connections:
    """At most *size* connections for one use; made when asked for, replaced when lost."""

    def __init__(
        self,
        target: Target,
        *,
        size: int,
        reachability: Reachability,
        clock_offset: Callable[[], float] | None = None,
    ) -> None:
        self._target = target
        self._reachability = reachability
        self._clock_offset = clock_offset
        self._free = asyncio.Semaphore(size)
        self._idle: list[tuple[Connection, float]] = []
        self._closed = False

    async def call(self, query: str, *arguments: object) -> list[Row]:
        """Return the rows of one statement that is a transaction of its own.

        Raises:
            UnavailableError: Nothing was done.
            OutcomeUnknownError: Done or not.
            InvalidError: A value that PostgreSQL cannot hold, such as a text with U+0000.

        """
        async with self.borrowed() as connection:
            return await connection.fetch(query, *arguments)

    async def persist(self, use: Callable[[], Awaitable[_Result]]) -> _Result:
        """Return what *use* returns, tried again a few times while it loses to others."""
        for attempt in range(_ATTEMPTS_MAX):
            try:
                return await use()
            except LostToAnotherError:
                if attempt == _ATTEMPTS_MAX - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def borrowed(self) -> AsyncIterator[Connection]:
        """Lend a connection; one on which something went wrong is not used again."""
        async with self._free:
            connection, offset_s = await self._take()
            healthy = False
            try:
                with _translated():
                    offset_s = await self._set_offset(connection, offset_s)
                    yield connection
                healthy = True
                self._reachability.answered()
            except (LostToAnotherError, ConflictError, InvalidError):
                healthy = True
                raise
            except OutcomeUnknownError as error:
                if isinstance(error.__cause__, TimeoutError):
                    self._reachability.failed()
                raise
            finally:
                if healthy and not self._closed and not connection.is_closed():
                    self._idle.append((connection, offset_s))
                else:
                    connection.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction, committed where the block ends well."""
        async with self.borrowed() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """Lend a connection whose reads all see the store as it was at the first of them."""
        async with (
            self.borrowed() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    async def close(self) -> None:
        """Close what is idle; what is lent closes when it comes back."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(_close(connection) for connection, _ in idle))

    async def _take(self) -> tuple[Connection, float]:
        if self._closed:
            raise UnavailableError("the store is closed")
        while self._idle:
            connection, offset_s = self._idle.pop()
            if not connection.is_closed():
                return connection, offset_s
        self._reachability.demand()
        try:
            connection = await self._target.connect()
        except UnavailableError:
            self._reachability.failed()
            raise
        self._reachability.answered()
        return connection, 0.0

    async def _set_offset(self, connection: Connection, offset_s: float) -> float:
        """Let the server's clock run ahead, as tests do that cannot wait for days."""
        if self._clock_offset is None or (wanted_s := self._clock_offset()) == offset_s:
            return offset_s
        await connection.execute(
            "SELECT set_config('payhooks.clock_offset', $1, false)", f"{wanted_s:.6f} seconds"
        )
        return wanted_s


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=CLIENT_TIMEOUT_S)
    except _LOST:
        connection.terminate()


class LostToAnotherError(UnavailableError):
    """Another transaction was in the way; everything was rolled back, the connection is well."""


class KeptWaitingError(LostToAnotherError):
    """Another transaction held a lock for as long as we may wait: it may go on holding it."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except asyncpg.LockNotAvailableError as error:
        raise KeptWaitingError(f"PostgreSQL: {error}") from error
    except _LOST_TO_ANOTHER as error:
        raise LostToAnotherError(f"PostgreSQL: {error}") from error
    except asyncpg.CharacterNotInRepertoireError as error:
        # The one thing that text here cannot hold. What serves refuses it at the door.
        raise InvalidError.at("", "null_character", "A text contains U+0000.") from error
    except asyncpg.DataError as error:
        # Nothing was done, by the driver already where it cannot spell the value.
        raise InvalidError.at("", "unstorable", "A value is none that can be stored.") from error
    except _REFUSED as error:
        raise UnavailableError(f"PostgreSQL: {type(error).__name__}: {error}") from error
    except _LOST as error:
        raise OutcomeUnknownError(f"PostgreSQL: {type(error).__name__}: {error}") from error

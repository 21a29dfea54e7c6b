"""The PostgreSQL store, composed: which connections there are and what each is for."""

import asyncio
from collections.abc import Callable
from random import Random

from payhooks import limits
from payhooks.clock import Clock
from payhooks.errors import UnavailableError
from payhooks.storage.postgres import migrations
from payhooks.storage.postgres.accepting import PostgresAccept
from payhooks.storage.postgres.connections import Connections, Reachability, Target
from payhooks.storage.postgres.controlling import PostgresControl
from payhooks.storage.postgres.expecting import PostgresExpect
from payhooks.storage.postgres.identity import PostgresIdentity
from payhooks.storage.postgres.inboxes import PostgresInboxes
from payhooks.storage.postgres.leasing import PostgresLease
from payhooks.storage.postgres.playing import PostgresPlay
from payhooks.storage.postgres.reading import PostgresRead
from payhooks.storage.postgres.receiving import PostgresReceive
from payhooks.storage.postgres.replaying import PostgresReplay
from payhooks.storage.postgres.settling import PostgresSettle
from payhooks.storage.postgres.sweeping import PostgresSweep
from payhooks.storage.postgres.tallying import PostgresTally

_CONTROL_CONNECTIONS = 4
_HEARING_CONNECTIONS = 2


class PostgresStore(
    PostgresAccept,
    PostgresLease,
    PostgresSettle,
    PostgresSweep,
    PostgresControl,
    PostgresReplay,
    PostgresPlay,
    PostgresInboxes,
    PostgresIdentity,
    PostgresRead,
    PostgresReceive,
    PostgresExpect,
    PostgresTally,
):
    """Keep everything in PostgreSQL. Any number of processes may share one database.

    Accept, settle, the schedule and receiving have a connection each, so that none of them ever
    waits for another; what was heard is worked on over two, and everything else shares a few.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        random: Random,
        clock_offset: Callable[[], float] | None = None,
    ) -> None:
        target = Target.of(url)
        reachability = Reachability(clock=clock, random=random)

        def connections(size: int) -> Connections:
            return Connections(
                target, size=size, reachability=reachability, clock_offset=clock_offset
            )

        self._clock = clock
        self._clock_offset = clock_offset
        self._accepting = connections(1)
        self._settling = connections(1)
        self._leasing = connections(1)
        # Bodies of a megabyte are on their way here: no publisher shall wait behind them.
        self._receiving = connections(1)
        # Dozens of receipts are worked on at once: no person shall wait behind those.
        self._hearing = connections(_HEARING_CONNECTIONS)
        self._control = connections(_CONTROL_CONNECTIONS)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        clock: Clock,
        random: Random,
        clock_offset: Callable[[], float] | None = None,
    ) -> "PostgresStore":
        """Return a store on a database that ``payhooks migrate`` has prepared.

        *clock_offset* is for tests: so many seconds does the server's clock run ahead.

        Raises:
            UnavailableError: The server cannot be reached, its database is older or newer
                than this version, or its clock and ours differ too much.

        """
        store = cls(url, clock=clock, random=random, clock_offset=clock_offset)
        try:
            await store._check()
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """See Store."""
        # At once: a server that says nothing would make us wait for each in turn.
        uses = (
            *(self._accepting, self._settling, self._leasing),
            *(self._receiving, self._hearing, self._control),
        )
        await asyncio.gather(*(connections.close() for connections in uses))

    async def _check(self) -> None:
        async with self._control.borrowed() as connection:
            await migrations.check(connection)
        skew_s = (await self.health()).clock_skew_s
        if abs(skew_s) > limits.CLOCK_SKEW_S_MAX:
            # Ids carry our time and leases the server's.
            raise UnavailableError(
                f"our clock is {skew_s:.1f} s away from the database's: mend it first"
            )

"""What inbound asks of the outside: a provider's own word, by GET through the egress client."""

from typing import Protocol

import msgspec


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """One GET."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    allow_http: bool = False  # plain http, as sandbox merchants may use


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: any status, and at most ANSWER_READ_BYTES_MAX of the body."""

    status: int
    body: bytes


class Fetcher(Protocol):
    """Fetches through the address guard, under one deadline, with a cap on the answer."""

    async def fetch(self, request: Fetch) -> Fetched:
        """Return what the other side answers.

        Raises:
            UnavailableError: There was no answer, its address may not be asked, or it is too
                large.

        """
        ...

"""A fetcher that answers as a test says, and remembers what it was asked for."""

import asyncio
from collections.abc import Callable

from payhooks.errors import UnavailableError
from payhooks.ports.fetching import Fetch, Fetched


class ScriptedFetcher:
    """Answer each request with ``script(request)``; None is no answer. By default none has one.

    While ``answers`` is cleared, whoever is asked is silent.
    """

    def __init__(self, script: Callable[[Fetch], Fetched | None] | None = None) -> None:
        self.script = script or (lambda _request: None)
        self.asked: list[Fetch] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def fetch(self, request: Fetch) -> Fetched:
        """See Fetcher."""
        self.asked.append(request)
        await asyncio.sleep(0)  # whoever asks, waits
        await self.answers.wait()
        answer = self.script(request)
        if answer is None:
            raise UnavailableError("there is no answer")
        return answer

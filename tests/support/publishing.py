"""A server of the publisher client that does as told, without a socket."""

from collections.abc import Mapping
from typing import Any, Final

from payhooks.publisher import Answer, Client

STORED: Final[dict[str, Any]] = {
    "id": "evt_1",
    "type": "a.b",
    "created_at": "2030-01-01T00:00:00.000Z",
    "deliveries": 2,
}


class Script:
    """A server and a wait that do as told and remember what they saw."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.waits: list[float] = []

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer with the next of the script."""
        self.requests.append((url, dict(headers), body))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> Client:
        """Return a client of this server."""
        return Client(
            "https://hooks.example.com/",
            "phk_sandbox_x",
            merchant="shop/17",
            send=self.send,
            wait=self.waits.append,
        )

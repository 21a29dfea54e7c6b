"""The test receiver: every path answers as it says, and every signature is looked at."""

import asyncio
from collections.abc import MutableMapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from payhooks.dialects.standard import STANDARD
from payhooks.sandbox import Receiver, Sight
from payhooks.sandbox.receiver import BODY_BYTES_MAX
from payhooks.testing.clock import ManualClock

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BODY = b'{"type":"payment_succeeded","timestamp":"2026-11-20T12:00:00Z","data":{}}'
SECRET = STANDARD.new_secret(bytes(range(32)))
OTHER = STANDARD.new_secret(bytes(range(1, 33)))


class Call:
    """A receiver, what it saw, and a way to post to it."""

    def __init__(self, secrets: Sequence[str] = (SECRET,), seed: int = 1) -> None:
        self.secrets = list(secrets)
        self.asked = 0
        self.sights: list[Sight] = []
        self._receiver = Receiver(
            secrets=self._secrets,
            saw=self.sights.append,
            clock=ManualClock(NOW),
            random=Random(seed),
        )

    async def _secrets(self) -> Sequence[str]:
        self.asked += 1
        return list(self.secrets)

    async def post(
        self, path: str, headers: Sequence[tuple[str, str]] = (), body: bytes = BODY
    ) -> tuple[int | None, dict[bytes, bytes]]:
        target, _, query = path.partition("?")
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": target,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers],
        }
        inbound: list[MutableMapping[str, Any]] = [
            {"type": "http.request", "body": body, "more_body": False},
            {"type": "http.disconnect"},
        ]
        outbound: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return inbound.pop(0)

        async def send(message: MutableMapping[str, Any]) -> None:
            outbound.append(message)

        await self._receiver(scope, receive, send)
        if not outbound:
            return None, {}
        return outbound[0]["status"], dict(outbound[0]["headers"])


def signed(secret: str, body: bytes = BODY, attempt: int = 1) -> list[tuple[str, str]]:
    """Return the headers of a delivery."""
    made = STANDARD.sign(
        message_id="del_1", body=body, secrets=[STANDARD.signing_secret(secret)], now=NOW
    )
    return [*made.headers, ("webhook-attempt", str(attempt))]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ok", 200),
        ("/503", 503),
        ("/gone", 410),
        ("/slow?s=0", 200),
        ("/flaky?p=0", 200),
        ("/flaky?p=100", 500),
        ("/nowhere", 404),
    ],
)
async def test_a_path_answers_as_it_says(path: str, status: int) -> None:
    """The list is printed by `payhooks dev`; people try each."""
    assert (await Call().post(path))[0] == status


async def test_hang_never_answers_but_is_seen() -> None:
    """Who looks at the terminal must see that the request came."""
    call = Call()
    assert (await call.post("/hang"))[0] is None
    assert call.sights[0].status is None


async def test_retry_after_asks_for_a_rest_once() -> None:
    """The second attempt shows that the rest was kept and that it helped."""
    call = Call()
    status, headers = await call.post("/retry-after?s=5", signed(SECRET))
    assert (status, headers[b"retry-after"]) == (429, b"5")
    assert (await call.post("/retry-after?s=5", signed(SECRET, attempt=2)))[0] == 200


async def test_flaky_fails_about_as_often_as_asked() -> None:
    """Of 400 at thirty in a hundred about 120; five deviations are 46."""
    call = Call()
    answers = await asyncio.gather(*[call.post("/flaky?p=30") for _ in range(400)])
    assert 74 < sum(status == 500 for status, _ in answers) < 166


async def test_a_right_signature_is_seen_with_its_event() -> None:
    """What a newcomer waits for."""
    call = Call()
    await call.post("/ok", signed(SECRET))
    sight = call.sights[0]
    assert (sight.verified, sight.event_type, sight.message_id) == (
        True,
        "payment_succeeded",
        "del_1",
    )


async def test_a_wrong_signature_is_said_and_its_event_not_believed() -> None:
    """Or a forged event would look like a real one in the terminal."""
    call = Call()
    await call.post("/ok", signed(OTHER))
    sight = call.sights[0]
    assert (sight.verified, sight.event_type) == (False, "")
    assert "SIGNATURE WRONG" in sight.words


async def test_a_changed_body_is_said() -> None:
    """The signature is over the bytes."""
    call = Call()
    await call.post("/ok", signed(SECRET), BODY.replace(b"succeeded", b"succeedeD"))
    assert not call.sights[0].verified


async def test_an_unsigned_request_is_said() -> None:
    """Endpoints may choose no signature."""
    call = Call()
    await call.post("/ok")
    assert (call.sights[0].verified, call.sights[0].words) == (False, "not signed")


async def test_a_secret_made_meanwhile_is_found() -> None:
    """Somebody rotates a secret, or makes an endpoint, while the receiver runs."""
    call = Call()
    await call.post("/ok", signed(SECRET))
    call.secrets.append(OTHER)
    await call.post("/ok", signed(OTHER))
    await call.post("/ok", signed(OTHER))
    assert [sight.verified for sight in call.sights] == [True, True, True]
    assert call.asked == 2, "known secrets are not asked for again"


async def test_any_of_many_secrets_may_fit() -> None:
    """A verifier takes ten; a person may have made more endpoints than that."""
    many = [STANDARD.new_secret(bytes([number]) * 32) for number in range(1, 26)]
    call = Call([*many, SECRET])
    await call.post("/ok", signed(SECRET))
    assert call.sights[0].verified


async def test_a_body_without_end_is_refused() -> None:
    """It listens on loopback, but a runaway program must not fill the memory of the trial."""
    call = Call()
    assert (await call.post("/ok", body=bytes(BODY_BYTES_MAX + 1)))[0] == 413
    assert not call.sights

"""The listener's end of a stream: takes deliveries, posts them, tells what came of it.

One stream down, acknowledgements over ordinary requests up, so that it passes every proxy.
"""

import base64
import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from payhooks.cli.client import Api, segment
from payhooks.cli.exits import sentence_of
from payhooks.cli.inputs import is_local, url_parts
from payhooks.cli.output import line, say
from payhooks.clock import SystemClock
from payhooks.errors import InvalidError, PayhooksError, UnavailableError
from payhooks.limits import ANSWER_KEPT_BYTES_MAX, TIMEOUT_S_DEFAULT

AT_ONCE_MAX: Final = 8
RECONNECT_S: Final = (0.0, 0.1, 1.0, 5.0)
_REFUSED: Final = range(300, 1_000)
_UNAUTHORISED: Final = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to post to."""

    secure: bool
    host: str
    port: int | None
    path: str
    shown: str


def target_of(text: str, *, allow_external: bool) -> Target:
    """Return the target that *text* names; a scheme may be left out.

    Raises:
        InvalidError: It is none, or on another machine.

    """
    parts = url_parts(text if "://" in text else f"http://{text}")
    if parts is None:
        detail = "It is a URL without spaces, ASCII after its host: localhost:8000/webhooks."
        raise InvalidError.at("--forward-to", "malformed", detail)
    assert parts.hostname is not None
    if not allow_external and not is_local(parts.hostname):
        raise InvalidError.at(
            "--forward-to",
            "external",
            "It is on another machine; events would leave this one. --allow-external permits it.",
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(
        secure=parts.scheme == "https",
        host=parts.hostname,
        port=parts.port,
        path=path,
        shown=text,
    )


class Listener:
    """One run of the command."""

    def __init__(self, api: Api, target: Target, events: list[str], *, as_json: bool) -> None:
        self._api = api
        self._target = target
        self._events = events
        self._as_json = as_json
        self._stream_id = ""

    def run(self) -> None:
        """Forward until interrupted; a broken stream is opened again.

        Raises:
            RefusedError: The server does not let us listen.
            UnavailableError: It was never there.

        """
        failures = 0
        with ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="forward") as pool:
            while True:
                try:
                    self._follow(pool)
                    failures = 0
                except UnavailableError as error:
                    if not self._stream_id:
                        raise
                    say(sentence_of(error))
                wait_s = RECONNECT_S[min(failures, len(RECONNECT_S) - 1)]
                failures += 1
                say(f"The stream ended; opened again in {wait_s:g} s.")
                time.sleep(wait_s)  # noqa: TID251 - a person waits

    def _follow(self, pool: ThreadPoolExecutor) -> None:
        path = self._api.of_merchant("/listen")
        with self._api.lines("GET", path, events=self._events) as lines:
            for name, content in _messages(lines):
                match name:
                    case "ready":
                        self._stream_id = content["id"]
                        say(f"Ready. Signing secret: {content['secret']}")
                    case "delivery":
                        done = pool.submit(self._forward, content)
                        done.add_done_callback(_say_what_failed)
                    case _:
                        pass  # A newer server may say more.

    def _forward(self, delivery: dict[str, Any]) -> None:
        began_s = time.monotonic()
        status, body = self._post(delivery)
        duration_s = time.monotonic() - began_s
        self._print(delivery, status, duration_s)
        self._api.post(
            self._api.of_merchant(f"/listen/{segment(self._stream_id)}/acks"),
            {
                "delivery_id": delivery["delivery_id"],
                "fence": delivery["fence"],
                "status": status,
                "duration_s": round(duration_s, 6),
                "body": body,
            },
        )

    def _post(self, delivery: dict[str, Any]) -> tuple[int | None, str]:
        target = self._target
        kind = http.client.HTTPSConnection if target.secure else http.client.HTTPConnection
        connection = kind(target.host, target.port, timeout=TIMEOUT_S_DEFAULT)
        try:
            connection.request(
                "POST",
                target.path,
                body=base64.b64decode(delivery["body"]),
                headers=dict(delivery["headers"]),
            )
            answer = connection.getresponse()
            text = answer.read(ANSWER_KEPT_BYTES_MAX).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return None, ""
        finally:
            connection.close()
        return answer.status, text[: ANSWER_KEPT_BYTES_MAX // 4]

    def _print(self, delivery: dict[str, Any], status: int | None, duration_s: float) -> None:
        if self._as_json:
            facts = {
                "event_id": delivery["event_id"],
                "event_type": delivery["event_type"],
                "delivery_id": delivery["delivery_id"],
                "status": status,
                "duration_ms": round(duration_s * 1_000, 1),
            }
            line(json.dumps(facts))
            return
        at = SystemClock().now().astimezone().strftime("%H:%M:%S")
        answer = "no answer" if status is None else str(status)
        line(
            f"{at}  → {delivery['event_type']}  {delivery['event_id']}  "
            f"POST {self._target.shown}  {answer}  {duration_s * 1_000:.0f} ms"
        )
        if status is None:
            say("  Nothing answers there. Is your server running?")
        elif status == _UNAUTHORISED:
            say("  Your server answered 401. Does it verify the raw body, before parsing JSON?")
        elif status in _REFUSED:
            say("  Only an answer of 2xx counts as delivered; it will be sent again.")


def _messages(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield server-sent events: a name, and one line of JSON."""
    name = ""
    for text in lines:
        field, _, value = text.partition(": ")
        match field:
            case "event":
                name = value
            case "data":
                yield name, json.loads(value)
            case _:
                pass  # An empty line ends a message; a colon begins a comment.


def _say_what_failed(done: Future[None]) -> None:
    error = done.exception()
    if isinstance(error, PayhooksError):
        say(f"The answer could not be told to the server: {sentence_of(error)}")
    elif error is not None:
        say(sentence_of(error))

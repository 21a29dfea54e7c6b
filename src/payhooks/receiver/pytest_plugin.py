"""Fixtures for the tests of an application that receives webhooks.

Pytest finds them by itself where payhooks is installed; naming the plugin once more is an error
of pytest's. What they make is signed with the code that a sender signs with, so a test can ask
the whole way through: ``post_webhook(client, "/webhooks", make_event("payment_succeeded"))``.
"""

import base64
import itertools
from collections.abc import Callable
from datetime import timedelta
from inspect import isawaitable
from typing import Any, Final, Literal, Protocol

import pytest

from payhooks.clock import SystemClock
from payhooks.receiver.event import Event
from payhooks.receiver.samples import body_of, signed
from payhooks.receiver.verifier import Verifier
from payhooks.receiver.ways import Request

Tamper = Literal["body", "timestamp", "signature"]

_OLD: Final = timedelta(days=1)


class MakeEvent(Protocol):
    """The type of ``make_event``."""

    def __call__(
        self,
        event_type: str,
        *,
        dialect: str = "standard",
        object_type: str = "payment",
        event_id: str | None = None,
        **data: object,
    ) -> Event:
        """Return an event that happens now."""
        ...


class SignedRequest(Protocol):
    """The type of ``signed_request``."""

    def __call__(self, event: Event, *, tamper: Tamper | None = None) -> Request:
        """Return body and headers of a request."""
        ...


class PostWebhook(Protocol):
    """The type of ``post_webhook``."""

    def __call__(
        self,
        client: Any,  # noqa: ANN401 - of Flask, Django, Starlette or FastAPI
        path: str,
        event: Event,
        *,
        tamper: Tamper | None = None,
    ) -> Any:  # noqa: ANN401 - what the client returns
        """Return the client's answer."""
        ...


@pytest.fixture
def webhook_secret() -> str:
    """Return a secret for tests: right in form for every dialect, and nobody's."""
    return "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def make_event(webhook_secret: str) -> MakeEvent:
    """Return what makes events: ``make_event("transaction.sale.success", amount="5.00")``."""
    numbers = itertools.count(1)

    def make(
        event_type: str,
        *,
        dialect: str = "standard",
        object_type: str = "payment",
        event_id: str | None = None,
        **data: object,
    ) -> Event:
        event_id = event_id or f"evt_{next(numbers)}"
        body = body_of(
            dialect,
            event_type=event_type,
            event_id=event_id,
            object_type=object_type,
            data=dict(data),
            at=SystemClock().now(),
        )
        return Verifier(webhook_secret, dialect=dialect).read({"webhook-id": event_id}, body)

    return make


@pytest.fixture
def signed_request(webhook_secret: str) -> SignedRequest:
    """Return what signs an event now; *tamper* spoils it in the way that is named.

    ``timestamp`` signs it a day ago, which only matters where a dialect signs a time.
    """

    def sign(event: Event, *, tamper: Tamper | None = None) -> Request:
        now = SystemClock().now() - (_OLD if tamper == "timestamp" else timedelta())
        secret = webhook_secret
        if tamper == "signature":
            secret = "whsec_" + base64.b64encode(bytes(32)).decode()
        request = signed(event.format, event.raw, secret, event_id=event.id, now=now)
        if tamper == "body":
            # The last member's name: still JSON, and signed in every dialect.
            return Request(b'{"_'.join(request.body.rsplit(b'{"', 1)), request.headers)
        return request

    return sign


@pytest.fixture
def post_webhook(signed_request: SignedRequest) -> PostWebhook:
    """Return what posts a signed event through a test client and gives back its answer."""

    def post(
        client: Any,  # noqa: ANN401 - see PostWebhook
        path: str,
        event: Event,
        *,
        tamper: Tamper | None = None,
    ) -> Any:  # noqa: ANN401 - see PostWebhook
        body, headers = signed_request(event, tamper=tamper)
        kind = headers.pop("content-type")
        owner = type(client).__mro__[-2].__module__.partition(".")[0]
        if owner == "django":
            return client.post(path, data=body, content_type=kind, headers=headers)
        named = {"content-type": kind, **headers}
        if owner == "werkzeug":
            return client.post(path, data=body, headers=named)
        return client.post(path, content=body, headers=named)

    return post


@pytest.fixture
def assert_idempotent() -> Callable[[Callable[[], object], Callable[[], object]], None]:
    """Return what fails where a second delivery changes anything.

    ``assert_idempotent(deliver, state)`` delivers once, then twice more, and compares what
    ``state`` returns.
    """

    def check(deliver: Callable[[], object], state: Callable[[], object]) -> None:
        _called(deliver)
        once = _called(state)
        for _ in range(2):
            _called(deliver)
        assert _called(state) == once, "the same event changed it again"

    return check


def _called(function: Callable[[], object]) -> object:
    """Return what it returns; one that only promises to run would prove nothing."""
    returned = function()
    if isawaitable(returned):
        if hasattr(returned, "close"):
            returned.close()
        raise TypeError("assert_idempotent calls plain functions; run the asynchronous in them")
    return returned

"""Publishing: the hot path, a bare ASGI callable in front of everything else.

The payload is checked and then kept as the bytes that came; nothing is decoded that need not
be. Who may is decided from the routing table that the plan is made from, without asking the
store; the store finds out a table that is out of date.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from payhooks import ids, limits
from payhooks.api import asgi, problems, strict_json
from payhooks.api.auth import Authenticator
from payhooks.api.media import demand_json
from payhooks.api.publication import (
    BatchBody,
    decode_batch,
    decode_event,
    read_idempotency_key,
)
from payhooks.api.services import Services
from payhooks.catalogue import Catalogue
from payhooks.control import key_text, keys
from payhooks.control.context import Caller
from payhooks.errors import (
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PayhooksError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from payhooks.flow.publication import Publication, Published
from payhooks.flow.routing import RoutingTable
from payhooks.model.event import Finding
from payhooks.model.key import Scope

_PREFIX: Final = "/v1/merchants/"
_BATCH: Final = "events/batch"
_ITEMS_AT_ONCE: Final = 50
_TAILS: Final = frozenset({"events", _BATCH})
_REPLAYED: Final = (b"idempotent-replayed", b"true")


# A change that runs into a request is one; a second may follow it, a third is no accident.
_JUDGEMENTS_MAX: Final = 4

_Result = PayhooksError | tuple[Published, Sequence[Finding]]


class HotPath:
    """Answers the two publishing routes. One per process."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator

    @staticmethod
    def takes(scope: asgi.Scope) -> str | None:
        """Return the merchant in the path, if the request is one for here."""
        path: str = scope["path"]
        if scope["method"] != "POST" or not path.startswith(_PREFIX):
            return None
        reference, _, tail = path[len(_PREFIX) :].partition("/")
        return reference or None if tail in _TAILS else None

    async def __call__(
        self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send, merchant_ref: str
    ) -> None:
        """Accept what the request brings; PayhooksErrors and ProblemErrors are the front's."""
        authority = await self._authority(scope, merchant_ref)
        if scope["query_string"]:
            # As on every other route: who wrote ?dry_run=true must not be passed over.
            detail = "There is no such parameter here."
            raise InvalidError.at("?", "unknown_parameter", detail)
        demand_json(scope)
        if scope["path"].endswith(_BATCH):
            await self._batch(scope, receive, send, merchant_ref, authority)
            return
        body = await asgi.read_body(scope, receive, bytes_max=limits.EVENT_BODY_BYTES_MAX)
        strict_json.check(body)
        key = read_idempotency_key(scope)
        published, findings = await self.publish_judged(body, key, merchant_ref, authority)
        headers = [_REPLAYED] if published.repeated else []
        await asgi.answer(send, 202, _accepted(published, findings), headers)

    async def publish_judged(
        self, body: bytes, key: str | None, merchant_ref: str, authority: "Authority"
    ) -> tuple[Published, Sequence[Finding]]:
        """Publish one event, judged by the merchant's rules as they are when it is stored."""
        for _ in range(_JUDGEMENTS_MAX):
            table = authority.table or await self._services.directory.find(merchant_ref)
            book = await self._services.book.current()
            publication = decode_event(body, table, book, key)
            try:
                [result] = await self._services.acceptor.publish(
                    merchant_ref, [publication], authorise=authority.under_rules_of(table)
                )
            except RulesChangedError:
                continue
            if isinstance(result, RulesChangedError):
                continue  # of the request with the same key that went ahead
            if isinstance(result, PayhooksError):
                raise result
            return result, publication.findings
        raise RulesChangedError("the merchant's configuration is changing all the time")

    async def _batch(
        self,
        scope: asgi.Scope,
        receive: asgi.Receive,
        send: asgi.Send,
        merchant_ref: str,
        authority: "Authority",
    ) -> None:
        body = await asgi.read_body(scope, receive, bytes_max=limits.BATCH_BODY_BYTES_MAX)
        strict_json.check(body)
        batch = decode_batch(body)
        results = await self._publish_batch_judged(merchant_ref, batch, authority)
        request_id = scope["state"]["request_id"]
        await asgi.answer(send, 202, {"data": [_result(result, request_id) for result in results]})

    async def _publish_batch_judged(
        self, merchant_ref: str, batch: BatchBody, authority: "Authority"
    ) -> list["_Result"]:
        """Publish the batch, judged by the merchant's rules as they are when it is stored."""
        for _ in range(_JUDGEMENTS_MAX):
            table = await self._services.directory.find(merchant_ref)
            book = await self._services.book.current()
            try:
                return await self._publish_good(merchant_ref, batch, table, book, authority)
            except RulesChangedError:
                continue
        raise RulesChangedError("the merchant's configuration is changing all the time")

    async def _publish_good(
        self,
        merchant_ref: str,
        batch: BatchBody,
        table: RoutingTable,
        book: Catalogue,
        authority: "Authority",
    ) -> list["_Result"]:
        """Publish the good items; a bad one does not refuse the others, and order is kept."""
        results: dict[int, _Result] = {}
        good: list[Publication] = []
        places: list[int] = []
        for place, raw in enumerate(batch.events):
            if place % _ITEMS_AT_ONCE == _ITEMS_AT_ONCE - 1:
                # To say all that is wrong with a thousand items takes longer than others may wait.
                await asyncio.sleep(0)
            if len(bytes(raw)) > limits.EVENT_BODY_BYTES_MAX:
                detail = f"An event has at most {limits.EVENT_BODY_BYTES_MAX} bytes."
                results[place] = TooLargeError(detail)
                continue
            try:
                good.append(decode_event(bytes(raw), table, book, None, keyed=True))
            except PayhooksError as error:
                results[place] = error
                continue
            places.append(place)
        if good:
            published = await self._services.acceptor.publish(
                merchant_ref, good, authorise=authority.under_rules_of(table)
            )
            for place, said, result in zip(places, good, published, strict=True):
                if isinstance(result, PayhooksError):
                    results[place] = result
                else:
                    results[place] = (result, said.findings)
        return [results[place] for place in range(len(batch.events))]

    async def _authority(self, scope: asgi.Scope, merchant_ref: str) -> "Authority":
        """Return what may publish, or end the request before its body is read."""
        text = self._authenticator.credential(scope)
        digest = key_text.digest(text)
        operator = self._authenticator.operator(scope, digest)
        authority = Authority(self._services, digest, operator)
        if operator is not None:
            return authority
        try:
            table = await self._services.directory.find(merchant_ref)
            authority.check(table)
        except (NotFoundError, UnauthenticatedError):
            # Not this merchant's, as far as this process knows: the store knows for sure.
            try:
                key = await keys.authenticate(self._services.control, text)
            except UnauthenticatedError:
                raise self._authenticator.refusal(scope) from None
            caller = keys.caller_of(
                key,
                request_id=scope["state"]["request_id"],
                ip=self._authenticator.address_of(scope),
            )
            return await self._of_stored(authority, caller, merchant_ref)
        return authority

    async def _of_stored(
        self, authority: "Authority", caller: Caller, merchant_ref: str
    ) -> "Authority":
        caller.demand(Scope.EVENTS_WRITE)
        if caller.merchant_id is None:
            authority.caller = caller
            return authority
        # A key made a moment ago is not in the table of this process yet.
        table = await self._services.directory.find(merchant_ref)
        caller.demand_merchant(table.merchant.id)
        await self._services.directory.reload(table.merchant.id)
        return authority


class RulesChangedError(UnavailableError):
    """The event was judged by rules that the merchant has no more; nothing was stored."""


class Authority:
    """One request's right to publish, asked anew with every routing table."""

    __slots__ = ("_digest", "_services", "caller", "table")

    def __init__(self, services: Services, digest: bytes, caller: Caller | None) -> None:
        self._services = services
        self._digest = digest
        self.table: RoutingTable | None = None  # the one last asked
        self.caller = caller  # set where it is not by a merchant's own key

    def check(self, table: RoutingTable) -> None:
        """Return if publishing for this merchant is allowed."""
        self.table = table
        if self.caller is not None:
            self.caller.demand(Scope.EVENTS_WRITE)
            return
        key = table.key(self._digest)
        if key is None or not keys.is_live(key, self._services.control.clock.now()):
            raise UnauthenticatedError("not a live key of this merchant")
        if Scope.EVENTS_WRITE not in key.scopes:
            raise ForbiddenError(f"This needs the permission {Scope.EVENTS_WRITE}.")

    def under_rules_of(self, judged_by: RoutingTable) -> Callable[[RoutingTable], None]:
        """Return ``check`` that also demands the rules that an event was judged by."""

        def check(table: RoutingTable) -> None:
            self.check(table)
            if _rules(table) != _rules(judged_by):
                raise RulesChangedError("the merchant's configuration has changed")

        return check


def _rules(table: RoutingTable) -> tuple[object, ...]:
    merchant = table.merchant
    return merchant.type_check, merchant.families, merchant.card_numbers


class _Accepted(msgspec.Struct, omit_defaults=True):
    id: str
    type: str
    created_at: str
    deliveries: int
    findings: Sequence[Finding] = ()
    repeated: bool = False  # said here only in a batch; a lone event has a header for it


_encode: Final = msgspec.json.Encoder().encode


def accepted(published: Published, findings: Sequence[Finding]) -> bytes:
    """Return the body of the 202."""
    return _encode(_accepted(published, findings))


def _accepted(published: Published, findings: Sequence[Finding]) -> _Accepted:
    return _Accepted(
        id=ids.to_text(ids.EVENT, published.event_id),
        type=published.type,
        created_at=f"{ids.made_at_text(published.event_id)}Z",
        deliveries=published.deliveries,
        findings=findings,
    )


def _result(result: "_Result", request_id: str) -> object:
    match result:
        case (published, findings):
            answer = _accepted(published, findings)
            answer.repeated = published.repeated
            return answer
        case error:
            return {"error": problems.as_dict(problems.of_error(error), request_id=request_id)}

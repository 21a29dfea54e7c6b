"""Inboxes: opened and closed on record, and what came with what its signature is worth."""

import asyncio
import hashlib
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from payhooks import ids
from payhooks.control import secrets
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.control.sandbox import demand_sandbox
from payhooks.errors import NotFoundError, UnavailableError
from payhooks.ids import EndpointId, InboxId
from payhooks.model.endpoint import Endpoint, SignatureType
from payhooks.model.inbox import Heard, Inbox
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.policy.credential_headers import opens_something
from payhooks.ports.accepting import Routing
from payhooks.ports.controlling import Window
from payhooks.receiver import Code, VerificationError, Verifier
from payhooks.receiver.dialects import DIALECTS
from payhooks.receiver.verifier import Pairs

INBOXES_MAX: Final = 10  # per merchant
HEARD_KEPT_MAX: Final = 100  # per inbox
_WORD_BYTES: Final = 16  # as hard to guess as an id; what it opens is a place to leave things
_WORD: Final = re.compile(r"[0-9a-f]{32}")
_HIDDEN: Final = "••••••••"
# What a verdict is found by stays, whatever another webhook calls its password.
_SIGNATURES: Final = frozenset(name for one in DIALECTS.values() for name in one.way.headers)
JUDGED_BY_MAX: Final = 10  # webhooks of one inbox
# To decode a hundred of the largest bodies takes a third of a second, in which others would wait.
_READ_AT_ONCE: Final = 8


class Verdict(StrEnum):
    """What the signature of a request is worth."""

    VERIFIED = "verified"
    WRONG = "wrong"
    UNSIGNED = "unsigned"
    NO_ENDPOINT = "no endpoint"  # none of the merchant's has this URL: no secret to check with


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An inbox and its URL, which whoever has it may send to."""

    inbox: Inbox
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A request, and what a receiver with the endpoint's secrets would say of it."""

    heard: Heard
    verdict: Verdict
    words: str
    endpoint_id: EndpointId | None


async def open_(control: Control, caller: Caller, merchant: Merchant) -> Opened:
    """Return a new inbox.

    Raises:
        WrongStateError: The merchant is live, or has as many as it may.

    """
    demand_sandbox(merchant)
    word = control.random_bytes(_WORD_BYTES).hex()
    inbox = Inbox(
        id=InboxId(control.ids.new()), merchant_id=merchant.id, created_at=control.clock.now()
    )
    sealed = secrets.seal(
        control,
        word,
        merchant_id=merchant.id,
        owner_id=inbox.id,
        purpose=SecretPurpose.INBOX,
    )
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant.id,
        action="inbox.opened",
        target=ids.to_text(ids.INBOX, inbox.id),
    )
    await control.store.open_inbox(
        inbox, hashed=_hash(word), secret=sealed, audit=entry, inboxes_max=INBOXES_MAX
    )
    return Opened(inbox=inbox, url=control.urls.inboxes + word)


async def close(control: Control, caller: Caller, inbox: Inbox) -> None:
    """Forget the inbox and all that came; its URL is none from now on."""
    entry = audit_entry(
        control,
        caller,
        merchant_id=inbox.merchant_id,
        action="inbox.closed",
        target=ids.to_text(ids.INBOX, inbox.id),
    )
    await control.store.close_inbox(inbox, audit=entry)


async def find(control: Control, merchant: Merchant, text: str) -> Inbox:
    """Return the merchant's inbox with this printed id.

    Raises:
        NotFoundError: There is none, or it is another merchant's.

    """
    inbox_id = ids.from_text(ids.INBOX, text)
    if inbox_id is not None:
        found = await control.store.inbox(merchant.id, InboxId(inbox_id))
        if found is not None:
            return found
    raise NotFoundError("There is no such inbox.")


async def opened(control: Control, inbox: Inbox) -> Opened:
    """Return the inbox with its URL.

    Raises:
        NotFoundError: It was closed meanwhile.
        UnavailableError: Its word cannot be read; an operator has to act.

    """
    known = await control.store.secrets(inbox.merchant_id, inbox.id)
    if not known:
        raise NotFoundError("There is no such inbox.")
    word = secrets.open_secret(control.keyring, known[0])
    return Opened(inbox=inbox, url=control.urls.inboxes + word)


async def at(control: Control, word: str) -> Inbox | None:
    """Return the inbox whose URL ends in this word.

    The look-up is by hash, so how long it takes says nothing of how near a guess came.
    """
    if _WORD.fullmatch(word) is None:
        return None
    return await control.store.inbox_with(_hash(word))


async def hear(control: Control, inbox: Inbox, heard: Heard) -> None:
    """Keep what came, without the credentials among its headers.

    Those are what their names give away, and the headers that the merchant's webhooks send of
    their own: the value is gone from the first moment, whatever becomes of the webhook.
    """
    [routing] = await control.store.routing([inbox.merchant_id])
    own = {(one.authentication.name or "").lower() for one in routing.endpoints}
    own |= {name.lower() for one in routing.endpoints for name, _ in one.headers}
    custom = routing.merchant.custom_dialect
    place = None if custom is None else custom.signature_header.lower()
    headers = tuple(
        (name, _HIDDEN if _is_hidden(name, own, place) else value) for name, value in heard.headers
    )
    await control.store.hear(
        inbox, msgspec.structs.replace(heard, headers=headers), kept_max=HEARD_KEPT_MAX
    )


def _is_hidden(name: str, own: Container[str], custom_place: str | None) -> bool:
    plain = name.lower()
    if plain in _SIGNATURES or plain == custom_place:
        return False
    return plain in own or opens_something(plain)


def behind(path: str, query: str) -> str:
    """Return both as the one text that is kept of a request's URL; ``parts_of`` takes it apart."""
    # A query alone stands for itself, but for one that would read as a path.
    return query if not path and not query.startswith(("/", "?")) else f"{path}?{query}"


def parts_of(heard_: Heard) -> tuple[str, str]:
    """Return the path behind the inbox's, with its slash, and the query; either may be empty."""
    if not heard_.query.startswith(("/", "?")):
        return "", heard_.query
    path, _, query = heard_.query.partition("?")
    return path, query


def leads_to(endpoint: Endpoint, url: str) -> bool:
    """Whether the endpoint's URL is the inbox with this one, or has more behind it."""
    place = endpoint.url.partition("?")[0]
    return place == url or place.startswith(f"{url}/")


async def heard(control: Control, merchant: Merchant, inbox: Inbox, window: Window) -> list[Judged]:
    """Return what came, newest first, each judged as its receiver would judge it.

    Raises:
        NotFoundError, UnavailableError: As for ``opened``.

    """
    url = (await opened(control, inbox)).url
    [routing] = await control.store.routing([merchant.id])
    mine = [one for one in routing.endpoints if leads_to(one, url)]
    keys = [_Keys.of(control, routing, endpoint) for endpoint in mine[:JUDGED_BY_MAX]]
    judged: list[Judged] = []
    after = window.after
    while (left := window.limit - len(judged)) > 0:
        part = Window(limit=min(left, _READ_AT_ONCE), after=after)
        found = await control.store.heard(merchant.id, inbox.id, part)
        for one in found:
            judged.append(_judged(one, keys))
            # To hash a large body for each webhook takes long enough for others to wait.
            await asyncio.sleep(0)
        if len(found) < part.limit:
            break
        after = found[-1].id
    return judged


async def request(control: Control, merchant: Merchant, inbox: Inbox, text: str) -> Judged:
    """Return the request with this printed id, judged.

    Raises:
        NotFoundError: It came to another inbox, or is kept no more.
        UnavailableError: As for ``opened``.

    """
    asked = ids.from_text(ids.HEARD, text)
    if asked is not None and any(asked):
        # A window begins behind an id, and newest first what is behind the next one is this one.
        after = min(int.from_bytes(asked, "big") + 1, (1 << 8 * len(asked)) - 1)
        window = Window(limit=1, after=after.to_bytes(len(asked), "big"))
        for one in await heard(control, merchant, inbox, window):
            if one.heard.id == asked:
                return one
    raise NotFoundError("There is no such request.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """An endpoint, and what its deliveries are signed with."""

    endpoint: Endpoint
    texts: list[str] = field(repr=False)

    @classmethod
    def of(cls, control: Control, routing: Routing, endpoint: Endpoint) -> "_Keys":
        if endpoint.signature.type is SignatureType.NONE:
            return cls(endpoint=endpoint, texts=[])
        owner, purpose = secrets.signer_of(endpoint.signature, endpoint.id, endpoint.merchant_id)
        held: list[SealedSecret] = [one for one in routing.secrets if one.owner_id == owner]
        live = secrets.live(held, purpose, control.clock.now())
        try:
            texts = [secrets.open_secret(control.keyring, one) for one in live]
        except UnavailableError:
            texts = []
        return cls(endpoint=endpoint, texts=texts)


def _judged(heard_: Heard, keys: Sequence[_Keys]) -> Judged:
    """Return the best that any of the endpoints makes of the request."""
    if not keys:
        words = "No webhook of this merchant has this URL: there is no secret to check with."
        return Judged(
            heard=heard_,
            verdict=Verdict.NO_ENDPOINT,
            words=words,
            endpoint_id=None,
        )
    tried = [(*_check(heard_, one), one.endpoint) for one in keys]
    verdict, words, endpoint = min(tried, key=lambda each: _BEST_FIRST.index(each[0]))
    return Judged(
        heard=heard_,
        verdict=verdict,
        words=words,
        endpoint_id=endpoint.id,
    )


_BEST_FIRST: Final = (Verdict.VERIFIED, Verdict.WRONG, Verdict.UNSIGNED)


def _check(heard_: Heard, keys: _Keys) -> tuple[Verdict, str]:
    dialect = keys.endpoint.dialect
    if keys.endpoint.signature.type is SignatureType.NONE:
        return Verdict.UNSIGNED, "This webhook is sent without a signature."
    if dialect not in DIALECTS:
        return Verdict.WRONG, f"Nothing here checks the signatures of {dialect}."
    if not keys.texts:
        return Verdict.WRONG, "No secret of this webhook lives any more."
    try:
        verifier = Verifier(keys.texts, dialect=dialect)
        verifier.verify(heard_.body, Pairs(heard_.headers), now=heard_.at)
    except VerificationError as error:
        unsigned = error.code is Code.MISSING_HEADER
        return (Verdict.UNSIGNED if unsigned else Verdict.WRONG), error.hint
    return Verdict.VERIFIED, "The signature is right."


def _hash(word: str) -> bytes:
    return hashlib.sha256(word.encode()).digest()

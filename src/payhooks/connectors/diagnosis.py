"""Why a request that is kept does not verify, in words for whoever looks at it. Pure.

A finding is what was tried and is true: the signature is good under one change, and which change
that is says the cause. Only where none fits it is said what that leaves. None of the words has a
secret in it, nor more than whoever may send to the connectors learns from what he is answered.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from payhooks.connectors.adyen_items import NO_BASIC, OTHER_BASIC
from payhooks.connectors.contract import Incoming, Keys, Options, Provider, Source
from payhooks.connectors.custom import CUSTOM, Own
from payhooks.connectors.judging import judged
from payhooks.connectors.registry import PROVIDERS
from payhooks.dialects.schemes import TOLERANCE
from payhooks.errors import SignatureError
from payhooks.limits import KIB
from payhooks.model.receipt import Verdict
from payhooks.receiver.explain import suspects

_OUT_OF_TIME: Final = frozenset({"timestamp_too_old", "timestamp_too_new"})
_NO_MATCH: Final = "no_match"
# A number that stands by itself: as part of an id or of a signature it is no time.
_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z])[0-9]{1,13}(?![0-9A-Za-z])")
_TIMES_END_S: Final = 10**11  # in the year 5138, so that some minutes more are a time as well
_TIMES_MAX: Final = 50  # a sender writes a few numbers; a stranger may write thousands
_NOTHING: Final = Incoming("POST", "", {}, b"")
# Providers' largest samples are below 20 KiB, and anybody may send what is larger: at most this
# much is written again, which takes 1 ms for each KiB …
_REWRITTEN_BYTES_MAX: Final = 32 * KIB
# … and at most so many others are tried, and this much hashed and read for them: each has up to
# five secrets, and each of these a signature to be made.
_OTHERS_MAX: Final = 20
_OTHERS_BYTES_MAX: Final = 512 * KIB
_OWN_FORMAT: Final = "your own format"
# Of what shows who sends it, and signs as well. None of it is kept, but the reason is.
_SHOWN: Final = {
    NO_BASIC: "It came without the user name and password that the connector asks for",
    OTHER_BASIC: "The user name and password that it came with were not the connector's",
}

_ACCEPTED: Final = (
    "It would be accepted with the connector's settings as they are now: have it read again."
)
HEADERS_MASKED: Final = (
    "Card data in its headers was masked before it was kept, and what the signature needs may have"
    " been there: nothing can be said of the secret."
)


class Account(NamedTuple):
    """A connector, as a request can be tried with it."""

    name: str
    provider: Provider
    keys: Keys
    options: Options


class Kept(NamedTuple):
    """A request that is kept, and what is known of how it came."""

    incoming: Incoming
    received_at: datetime  # the time to judge by
    reason: str | None = None  # why it did not verify when it was last judged
    # Why nobody knows what stood in the headers, in words: nothing is concluded from them then.
    unseen: str | None = None


def likely(
    incoming: Incoming, own: Provider, others: Sequence[tuple[Provider, Options]]
) -> list[int]:
    """Return which connectors of its merchant may be meant, by their places.

    Those of the same provider first, and no more than are worth the time that trying them takes.
    """
    # A body is read for this, and who has a hundred connectors has them of few kinds.
    fits = dict[tuple[Provider, frozenset[tuple[str, str]]], bool]()
    places = []
    for place, (provider, options) in enumerate(others):
        kind = (provider, frozenset(options.items()))
        if kind not in fits:
            signs = provider.source is Source.SIGNATURE and provider.secret is not None
            fits[kind] = signs and provider.missing(incoming, options) is None
        if fits[kind]:
            places.append(place)
    places.sort(key=lambda place: others[place][0].name != own.name)
    return places[: min(_OTHERS_MAX, _OTHERS_BYTES_MAX // (len(incoming.body) or 1))]


def diagnosed(
    kept: Kept, own: Account, others: Sequence[Account], own_format: Provider | None
) -> list[str]:
    """Return what is known of why it did not verify, in sentences, the most certain first.

    Empty where there is nothing to add to the reason that it was given. Total, whatever arrived.

    Args:
        kept: The request.
        own: The connector that it came to.
        others: Further ones of its merchant that are ``likely``, in that order.
        own_format: What the merchant defined himself, whether or not a connector is for it.

    """
    incoming, received_at = kept.incoming, kept.received_at
    if own.provider.source is not Source.SIGNATURE:
        now = judged(own.provider, incoming, own.keys, received_at, own.options)
        return [] if now.verdict is Verdict.UNVERIFIED else [_ACCEPTED]
    try:
        if own.provider.needs(incoming, own.options) is not None:
            return [_not_tried(own)]
    except SignatureError:
        return []  # It names nothing of the provider's, as its reason says.
    refusal = _refusal(own, incoming, received_at)
    if refusal is None:
        return _accepted(own, kept)
    signed_at = _signed_at(own, incoming) if refusal.code in _OUT_OF_TIME else None
    if signed_at is None:
        return _causes(kept, received_at, own, others, own_format)
    causes = _causes(kept, signed_at, own, others, own_format)
    return [*causes, _out_of_time(signed_at, received_at)]


def _causes(
    kept: Kept,
    at: datetime,
    own: Account,
    others: Sequence[Account],
    own_format: Provider | None,
) -> list[str]:
    """Return what is found as of then, and otherwise what that leaves."""
    incoming = kept.incoming
    refusal = _refusal(own, incoming, at)
    if refusal is None:
        return ["Its signature is good, but not its time."]
    found = _for_another(others, incoming, at) or _of_another_body(own, incoming, at)
    if found is not None:
        return [found]
    if kept.unseen is not None:
        return [kept.unseen]
    if own.provider.missing(incoming, own.options) is not None:
        return _signed_as_another(own, incoming, own_format)
    # Any other code comes with a reason that says what is wrong.
    left = [_left(own, incoming, len(others))] if refusal.code == _NO_MATCH else []
    return [*left, *_shown(own, kept)]


def _refusal(account: Account, incoming: Incoming, at: datetime) -> SignatureError | None:
    """Return why it is not verified with this account as of then; None: it is."""
    provider, options = account.provider, account.options
    lacking = provider.missing(incoming, options)
    if lacking is not None:
        return SignatureError(lacking, "missing_header")
    try:
        # What a request shows of who sends it is not kept: the signature has to do.
        provider.verify(incoming, account.keys._replace(credential=None), at, options)
    except SignatureError as error:
        return error
    return None


def _signed_at(account: Account, incoming: Incoming) -> datetime | None:
    """Return the time at which it says that it was signed, whichever header has it.

    Each provider reads it in his own way. What all have in common is how far from it they accept
    a request, before and after, so that no other number of the headers does as well.
    """
    # They look at the time before they hash the body, which a stranger may have made large.
    incoming = incoming._replace(body=b"")
    for at in _times_in(incoming.headers):
        edges = [_refusal(account, incoming, at + edge) for edge in (-TOLERANCE, TOLERANCE)]
        if all(edge is None or edge.code not in _OUT_OF_TIME for edge in edges):
            return at
    return None


def _times_in(headers: Mapping[str, str]) -> Iterator[datetime]:
    tried = set[int]()
    for value in headers.values():
        for text in _NUMBER.findall(value):
            # Some count milliseconds.
            for seconds in (int(text), int(text) // 1_000):
                if seconds >= _TIMES_END_S or seconds in tried:
                    continue
                if len(tried) >= _TIMES_MAX:
                    return
                tried.add(seconds)
                yield datetime.fromtimestamp(seconds, UTC)


def _for_another(others: Sequence[Account], incoming: Incoming, at: datetime) -> str | None:
    for other in others:
        if _refusal(other, incoming, at) is None:
            return (
                f"It is signed for another connector of yours, {other.name}: its sender was given"
                " the URL of this one, or the secrets of the two are mixed up."
            )
    return None


def _of_another_body(own: Account, incoming: Incoming, at: datetime) -> str | None:
    for words, body in suspects(incoming.body, rewritten=_is_rewritten(incoming)):
        if _refusal(own, incoming._replace(body=body), at) is None:
            return (
                f"Its signature is good {words}: something between the sender and here changed the"
                " body. Let bodies through as they are, and have it sent again."
            )
    return None


def _is_rewritten(incoming: Incoming) -> bool:
    return len(incoming.body) <= _REWRITTEN_BYTES_MAX


def _signed_as_another(own: Account, incoming: Incoming, own_format: Provider | None) -> list[str]:
    """Return whose signature is there, where the one that is needed is not."""
    known = [*PROVIDERS.values(), *([] if own_format is None else [own_format])]
    titles = [
        _title(provider)
        for provider in known
        # Who misses nothing where there is nothing does not say by this what signs.
        if provider.missing(_NOTHING, {}) is not None and provider.missing(incoming, {}) is None
    ]
    if not titles:
        return []
    whose, ours = " or ".join(titles), _title(own.provider)
    return [f"It has a signature where {whose} has one, and this connector is for {ours}."]


def _title(provider: Provider) -> str:
    return _OWN_FORMAT if provider.name == CUSTOM.name else provider.title


def _accepted(own: Account, kept: Kept) -> list[str]:
    shown = _shown(own, kept)
    if shown:
        return ["Its signature is good: it can be read again.", *shown]
    try:
        own.provider.verify(kept.incoming, own.keys, kept.received_at, own.options)
    except SignatureError:
        return [
            f"{_ACCEPTED} The credential that came with it is not kept, so it is not looked at."
        ]
    return [_ACCEPTED]


def _shown(own: Account, kept: Kept) -> list[str]:
    """Return that it was refused for what it showed, before its signature was looked at."""
    words = None if own.keys.credential is None else _SHOWN.get(kept.reason or "")
    if words is None:
        return []
    where = f"at {own.provider.title}, or here"
    return [f"{words}: unless that was mended since, mend it {where}; else the next one fails too."]


def _out_of_time(signed_at: datetime, received_at: datetime) -> str:
    off_s = round((received_at - signed_at).total_seconds())
    side = "before" if off_s > 0 else "after"
    late = ", or it was held up on its way, or somebody shows an old one again"
    return (
        f"It says that it was signed {abs(off_s)} s {side} it came, and up to"
        f" {TOLERANCE.total_seconds():.0f} s are accepted: a clock is wrong"
        f"{late if off_s > 0 else ''}."
    )


def _not_tried(own: Account) -> str:
    """Return what a person can compare, where nothing was tried."""
    compared = [
        f" The connector's {choice.name} is {own.options.get(choice.name) or 'not set'}."
        f" {choice.words}"
        for choice in own.provider.choices
        if not choice.values
    ]
    return (
        "Whether the certificate that it names signed it was not tried, as nothing is fetched to"
        f" show this.{''.join(compared)}"
    )


def _left(own: Account, incoming: Incoming, others: int) -> str:
    """Return what the cause can still be, once nothing that was tried fits."""
    provider, tried = own.provider, len(own.keys.secrets)
    if provider is CUSTOM:
        return "The merchant has no format of its own any more, so that nothing is verified."
    words = provider.secret
    wanted = "" if words is None else f" The connector needs this: {words.label}. {words.words}"
    if not tried:
        return f"The connector holds no secret, so that nothing is verified.{wanted}"
    looks = ["the connector's secret" if tried == 1 else f"the connector's {tried} secrets"]
    if others:
        looks.append(f"those of {others} other connector{'s' if others > 1 else ''} of yours")
    looks.append("other line ends and white space around the body")
    if _is_rewritten(incoming):
        looks.append("other spellings of it where it is JSON")
    way = ", or in another way than the merchant's format says" if isinstance(provider, Own) else ""
    return (
        f"Nothing fits that was tried: {', '.join(looks[:-1])}, and {looks[-1]}. It was signed with"
        f" another secret{way}, or by somebody else, or changed otherwise.{wanted}"
    )

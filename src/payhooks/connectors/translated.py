"""What providers have in common whose words are translated as they are read.

What such a message means is decided by itself alone, in its provider's file: it is heard as the
unified event, and folded over the unified objects' life cycles. So a file has no more than how a
request is known to be the provider's, and one table from his words to ours.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Final

import msgspec

from payhooks.catalogue.object_state import Entry
from payhooks.connectors.catalogued import POSTED, choice_faults, distinct
from payhooks.connectors.contract import (
    Answer,
    Asked,
    Choice,
    Guide,
    Heard,
    Incoming,
    Keys,
    Options,
    SecretWords,
    Source,
    Told,
)
from payhooks.connectors.said import Said, Unit
from payhooks.connectors.unified import FAMILY, object_of
from payhooks.dialects.reading import in_utc
from payhooks.errors import Fault, InvalidError
from payhooks.limits import OBJECT_ID_CHARS_MAX

_OK: Final = 200
_UNAUTHORIZED: Final = 401
_REASON_CHARS_MAX: Final = 255
_CAPTURED: Final = "payment_captured"
_ENDS_UNCAPTURED: Final = frozenset({"payment_cancelled", "payment_expired"})
# What brings no money anywhere may be told without saying how much.
_WITHOUT_AMOUNT: Final = frozenset(
    {"action_required", "payment_processing", "payment_cancelled", "payment_expired"}
)


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message says of its object, as it is kept until it is told."""

    amount: str | None = None  # in the currency's own unit, as a decimal number
    currency: str | None = None
    payment_id: str | None = None
    references: tuple[str, ...] = ()
    reason: str | None = None  # in the provider's words
    # Members of the event's data, where only the provider can say them.
    extra: dict[str, Any] = {}
    # The life cycle asks for it, of a capture alone.
    status: str = ""
    # As what a capture is told, where that is another event than it is heard as.
    told_as: str = ""
    # Of a capture, or of one that failed: see Heard.
    capture: str = ""


class Translated:
    """A provider whose words are translated. See Provider for what each member promises."""

    name: str
    title: str
    guide: Guide

    source: Source = Source.SIGNATURE
    secret: SecretWords | None = None
    credential: SecretWords | None = None
    choices: Sequence[Choice] = ()
    own_ids: Collection[tuple[str | int, ...]] = ()
    methods: frozenset[str] = POSTED
    own_headers: frozenset[str] = frozenset()
    waits: ClassVar[Mapping[str, timedelta]] = MappingProxyType({})
    # Each capture is news, also where it leaves the payment as it was. Of anything else a repeat is
    # none: a dispute that was announced and is now there, another word for the same loss.
    told_each_time: frozenset[str] = frozenset({_CAPTURED})

    def check(self, options: Options, secrets: Sequence[str], credential: str | None) -> None:
        """Accept options that there are, and what is needed of the rest."""
        faults = choice_faults(self.choices, options)
        faults += _lacking("/secrets", self.secret, given=bool(secrets))
        faults += _lacking("/credential", self.credential, given=credential is not None)
        faults += self.faults(options, secrets, credential)
        if faults:
            raise InvalidError(faults)

    def faults(
        self, options: Options, secrets: Sequence[str], credential: str | None
    ) -> list[Fault]:
        """Return what else is wrong with a connector's settings."""
        return []

    def challenge(self, incoming: Incoming, keys: Keys, options: Options) -> Answer | None:
        """Return None: there is no handshake."""
        return None

    def missing(self, incoming: Incoming, options: Options) -> str | None:
        """Return None: nothing is needed but the body."""
        return None

    def needs(self, incoming: Incoming, options: Options) -> str | None:
        """Return None: all that verifies is held here."""
        return None

    def answer(self, *, verified: bool) -> Answer:
        """Return 200 and nothing."""
        return Answer(_OK if verified else _UNAUTHORIZED)

    def ask(self, heard: Heard, keys: Keys, options: Options) -> Asked | None:
        """Return None: the messages say all."""
        return None

    def asked(self, heard: Heard, body: bytes, options: Options) -> Sequence[Heard]:
        """Refuse: nothing was asked."""
        raise InvalidError.at("", "unexpected", "This provider is not asked for anything.")

    def means(self, entry: Entry, options: Options, *, captured: bool) -> str | None:
        """Return the event that it was heard as, unless the object had come there before.

        A capture is told each time, and as what its provider says. That the rest of a payment is
        let go, by whom ever, takes nothing back of what was captured of it, and is not told,
        whatever has happened in between.
        """
        event = entry.event
        if event.family != FAMILY:
            return None
        if event.type in self.told_each_time:
            return _facts_of(event.data).told_as or event.type
        if captured and event.type in _ENDS_UNCAPTURED:
            return None
        again = not entry.moved and entry.unified is not None
        return None if again else event.type

    def standing(self, told: Sequence[str], options: Options) -> int:
        """Return the count of captures: none of them is known to have failed."""
        return told.count(_CAPTURED)

    def tell(self, heard: Heard, unified: str, options: Options) -> Told:
        """Return what was kept of the message."""
        said = Said(heard.data)
        currency = said.currency("/currency")
        amount = None
        if currency is not None:
            amount = said.amount("/amount", currency=currency, unit=Unit.WHOLE)
        if amount is None and unified not in _WITHOUT_AMOUNT:
            raise InvalidError.at("", "required", "The message names no amount and currency.")
        facts = _facts_of(heard.data)
        extra = facts.extra if facts.reason is None else _with_reason(facts, object_of(unified))
        return Told(
            object_type=object_of(unified),
            object_id=heard.object_id,
            amount=amount,
            currency=currency,
            payment_id=facts.payment_id,
            references=facts.references,
            extra=extra,
        )

    def heard_as(  # noqa: PLR0913 - one thing, with all that is known of it
        self,
        unified: str,
        object_id: str | None,
        facts: Facts,
        *,
        word: str,
        event_id: str | None,
        occurred_at: datetime | None,
    ) -> Heard:
        """Return a message in our words.

        Raises:
            InvalidError: It does not say what it is about.

        """
        capture = facts.capture
        if unified == _CAPTURED:
            # Where the provider has no name for it, it cannot say that it failed, either.
            capture = capture or event_id or word
            status = facts.status or "partially_captured_and_capturable"
            facts = msgspec.structs.replace(facts, status=status)
        return Heard(
            word=word,
            family=FAMILY,
            type=unified,
            object_type=object_of(unified),
            object_id=_fit(object_id),
            data=msgspec.json.encode(facts),
            event_id=event_id,
            occurred_at=occurred_at,
            each_time=unified in self.told_each_time,
            capture=capture,
        )

    def unknown(self, word: str, object_type: str, object_id: str | None, data: bytes) -> Heard:
        """Return a message of which nothing is known: it is kept, and never guessed at."""
        # Of a family of its own, so that no word of his is taken for one of ours.
        return Heard(
            word=word,
            family=self.name,
            type=word,
            object_type=object_type,
            object_id=_fit(object_id),
            data=data,
        )


def moment(text: str | None) -> datetime | None:
    """Return a time in UTC; None for what is none. Nothing else of a message depends on it."""
    try:
        at = datetime.fromisoformat(text or "")
        return in_utc(at) if at.tzinfo is not None else None
    except (ValueError, InvalidError):
        return None


def names(*given: str | None) -> tuple[str, ...]:
    """Return those references that are there and can be kept, each once."""
    return distinct([name for name in given if name and len(name) <= OBJECT_ID_CHARS_MAX])


def _fit(object_id: str | None) -> str:
    if not object_id or len(object_id) > OBJECT_ID_CHARS_MAX:
        raise InvalidError.at("", "no_object", "The message does not say what it is about.")
    return object_id


def _facts_of(data: bytes) -> Facts:
    try:
        return msgspec.json.decode(data, type=Facts)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidError.at("", "malformed", "The message cannot be read.") from None


def _with_reason(facts: Facts, object_type: str) -> dict[str, Any]:
    member = "connector_reason" if object_type == "dispute" else "error_message"
    return {member: (facts.reason or "")[:_REASON_CHARS_MAX], **facts.extra}


def _lacking(pointer: str, wanted: SecretWords | None, *, given: bool) -> list[Fault]:
    if wanted is None and given:
        detail = "This provider uses nothing of the kind."
        return [Fault(pointer=pointer, code="unexpected", detail=detail)]
    if wanted is not None and wanted.required and not given:
        return [Fault(pointer=pointer, code="required", detail=f"{wanted.label} is needed.")]
    return []

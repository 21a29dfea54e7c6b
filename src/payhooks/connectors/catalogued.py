"""What providers have in common whose words the catalogue knows: their files say what is their own.

What a message means follows from the message: its type, and the members that its life cycle asks
for. What came before it decides nothing but whether the same was said already, and that only
where a provider repeats itself under new ids. So whatever part of a history was heard, and in
whatever order, it means nothing that the whole does not.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Final

import msgspec

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.life_cycle import START
from payhooks.catalogue.object_state import Entry
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
from payhooks.connectors.unified import object_of
from payhooks.dialects.contract import Dialect, Reading
from payhooks.errors import Fault, InvalidError, SignatureError
from payhooks.limits import OBJECT_ID_CHARS_MAX

POSTED: Final = frozenset({"POST", "PUT"})
UNKNOWN: Final = "unknown"
_OK: Final = 200
_UNAUTHORIZED: Final = 401


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a kind of message says what a unified event has to say: JSON pointers."""

    id: tuple[str, ...]
    amount: tuple[str, ...] = ()
    currency: tuple[str, ...] = ()
    unit: Unit = Unit.WHOLE
    needs_amount: bool = True
    payment_id: tuple[str, ...] = ()
    references: tuple[str, ...] = ()  # all of those that are there


Places = Mapping[tuple[str, str], Place]


class Catalogued:
    """A provider whose words the catalogue knows. See Provider for what each member promises."""

    name: str
    title: str
    guide: Guide
    dialect: Dialect
    family: str
    # By kind of the catalogue, and unified event or else the object that this is about.
    places: Places
    signed_in: str | None = None  # the header that has the signature
    # Types that say again what is so: they mean it where the object has not come there before.
    repeats: frozenset[str] = frozenset()

    source: Source = Source.SIGNATURE
    secret: SecretWords | None = None
    credential: SecretWords | None = None
    choices: Sequence[Choice] = ()
    own_ids: Collection[tuple[str | int, ...]] = ()
    methods: frozenset[str] = POSTED
    waits: ClassVar[Mapping[str, timedelta]] = MappingProxyType({})

    @property
    def own_headers(self) -> frozenset[str]:
        """Those that the dialect writes: it makes a signature, and never shows a secret."""
        return self.dialect.own_headers

    def check(self, options: Options, secrets: Sequence[str], credential: str | None) -> None:
        """Accept options that there are, with the values that they have, and secrets that fit."""
        faults = self.option_faults(options)
        faults += secret_faults(self.dialect, self.secret, secrets)
        if credential is not None and self.credential is None:
            detail = "This provider shows no credential."
            faults.append(Fault(pointer="/credential", code="unexpected", detail=detail))
        if credential is None and self.credential is not None and self.credential.required:
            detail = f"{self.credential.label} is needed."
            faults.append(Fault(pointer="/credential", code="required", detail=detail))
        if faults:
            raise InvalidError(faults)

    def option_faults(self, options: Options) -> list[Fault]:
        """Return what is wrong with a connector's options."""
        return choice_faults(self.choices, options)

    def challenge(self, incoming: Incoming, keys: Keys, options: Options) -> Answer | None:
        """Return None: there is no handshake."""
        return None

    def missing(self, incoming: Incoming, options: Options) -> str | None:
        """Return that the header is not there which has the signature."""
        if self.signed_in is None or self.signed_in.lower() in incoming.headers:
            return None
        return f"The request has no {self.signed_in} header."

    def needs(self, incoming: Incoming, options: Options) -> str | None:
        """Return None: all that verifies is held here."""
        return None

    def verify(self, incoming: Incoming, keys: Keys, now: datetime, options: Options) -> None:
        """Accept what the dialect finds signed with one of the secrets."""
        verified(self.dialect, incoming, keys, now)

    def answer(self, *, verified: bool) -> Answer:
        """Return 200 and nothing."""
        return Answer(_OK if verified else _UNAUTHORIZED)

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return the one thing that the body says."""
        reading = self.dialect.read(incoming.headers, incoming.body, options)
        return (heard_of(reading, self.family, event_id=self.event_id_of(reading)),)

    def event_id_of(self, reading: Reading) -> str | None:
        """Return what a redelivery repeats: the first id that the dialect reads."""
        return reading.ids[0][1] if reading.ids else None

    def ask(self, heard: Heard, keys: Keys, options: Options) -> Asked | None:
        """Return None: nothing is known of a way to ask."""
        return None

    def asked(self, heard: Heard, body: bytes, options: Options) -> Sequence[Heard]:
        """Return nothing: nobody is asked."""
        return ()

    def means(self, entry: Entry, options: Options, *, captured: bool) -> str | None:
        """Return what the message means by itself."""
        if entry.kind is None:
            return None
        event = entry.event
        row = entry.kind.life_cycle.row(event.type, Said(event.data).data, START)
        if row is None or row.to is None:
            return None
        if event.type in self.repeats and entry.before == row.to:
            return None
        meaning = entry.kind.means(row.to, event.type)
        return None if meaning is None else meaning.event

    def standing(self, told: Sequence[str], options: Options) -> int:
        """Return 0: his messages say by themselves what was captured."""
        return 0

    def tell(self, heard: Heard, unified: str, options: Options) -> Told:
        """Return what stands at the places of the message's kind."""
        place, said = self.place_of(heard, unified), Said(heard.data)
        currency = said.currency(*place.currency) or self.currency_of(options)
        amount = None
        if place.amount and currency is not None:
            amount = said.amount(*place.amount, currency=currency, unit=place.unit)
        if amount is None and place.needs_amount and place.amount:
            lacking = place.amount if currency is not None else place.currency
            said.needed(*lacking)
        references = [said.text(pointer) for pointer in place.references]
        return Told(
            object_type=object_of(unified),
            object_id=said.needed(*place.id),
            amount=amount,
            currency=currency,
            payment_id=said.text(*place.payment_id),
            references=distinct([*references, *self.further_references(said)]),
            extra=self.extra_of(said, unified),
        )

    def place_of(self, heard: Heard, unified: str) -> Place:
        """Return where a message of this kind says what the event needs.

        Raises:
            InvalidError: Nothing is known of that.

        """
        type_ = CATALOGUE.find(heard.family, heard.type)
        kind = "" if type_ is None else type_.kind
        place = self.places.get((kind, unified)) or self.places.get((kind, object_of(unified)))
        if place is None:
            detail = f"Nothing is known of how {heard.word} tells of {unified}."
            raise InvalidError.at("", "unknown_event", detail)
        return place

    def currency_of(self, options: Options) -> str | None:
        """Return the currency of messages that name none."""
        return None

    def further_references(self, said: Said) -> Sequence[str | None]:
        """Return names of the object that no pointer leads to."""
        return ()

    def extra_of(self, said: Said, unified: str) -> Mapping[str, Any]:
        """Return further members of the event's data."""
        return {}


def heard_of(reading: Reading, family: str, *, event_id: str | None) -> Heard:
    """Return what a dialect has read, under the name that the catalogue has for it.

    Raises:
        InvalidError: It does not say what it is about.

    """
    type_ = CATALOGUE.find(family, reading.event_type)
    type_ = type_ or CATALOGUE.meant_by(family, reading.event_type)
    object_type = reading.object_type or (None if type_ is None else type_.object_type)
    object_id = reading.object_id
    if type_ is None:
        # Of a word that nobody knows, nobody knows where it names its object.
        object_type, object_id = object_type or UNKNOWN, object_id or UNKNOWN
    if not object_type or not object_id or len(object_type) > OBJECT_ID_CHARS_MAX:
        raise InvalidError.at("", "no_object", "The message does not say what it is about.")
    if len(object_id) > OBJECT_ID_CHARS_MAX:
        detail = f"The object's id is longer than {OBJECT_ID_CHARS_MAX} characters."
        raise InvalidError.at("", "too_long", detail)
    return Heard(
        word=reading.event_type,
        family=family,
        type=reading.event_type if type_ is None else type_.name,
        object_type=object_type,
        object_id=object_id,
        data=reading.payload,
        event_id=event_id,
        occurred_at=reading.ordered_at or reading.occurred_at,
        is_test=reading.is_test is True,
    )


def verified(dialect: Dialect, incoming: Incoming, keys: Keys, now: datetime) -> None:
    """Accept what the dialect finds signed with one of the secrets.

    Raises:
        SignatureError: In every other case.

    """
    if not keys.secrets:
        raise SignatureError("the connector has no secret to verify with")
    secrets = [dialect.verifying_secret(secret) for secret in keys.secrets]
    dialect.verify(incoming.headers, incoming.body, secrets, now)


def choice_faults(choices: Sequence[Choice], options: Options) -> list[Fault]:
    """Return what is wrong with a connector's options, as far as the choices tell."""
    known = {choice.name: choice for choice in choices}
    faults = []
    for name, value in options.items():
        choice = known.get(name)
        if choice is None:
            there_are = ", ".join(known) or "none"
            detail = f"This provider has no such option. There are: {there_are}."
            faults.append(Fault(pointer="/options", code="unknown_option", detail=detail))
        elif choice.values and value not in choice.values:
            detail = f"It is {' or '.join(choice.values)}."
            pointer = f"/options/{name}"
            faults.append(Fault(pointer=pointer, code="invalid_choice", detail=detail))
    return faults


def secret_faults(
    dialect: Dialect, wanted: SecretWords | None, secrets: Sequence[str]
) -> list[Fault]:
    """Return what is wrong with a connector's secrets."""
    faults = []
    if wanted is None:
        if secrets:
            detail = "This provider signs with nothing that is kept here."
            faults.append(Fault(pointer="/secrets", code="unexpected", detail=detail))
        return faults
    if wanted.required and not secrets:
        detail = f"{wanted.label} is needed."
        faults.append(Fault(pointer="/secrets", code="required", detail=detail))
    for place, secret in enumerate(secrets):
        try:
            dialect.verifying_secret(secret)
        except InvalidError as error:
            pointer = f"/secrets/{place}"
            faults += [Fault(pointer=pointer, code=f.code, detail=f.detail) for f in error.faults]
    return faults


def distinct(texts: Sequence[str | None]) -> tuple[str, ...]:
    """Return those that are there, each once."""
    return tuple(dict.fromkeys(text for text in texts if text))

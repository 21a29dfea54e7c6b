"""Messages about one provider's object, and the words that they are told as. Pure.

A word is a unified event about an object with an amount; of equal words each has its number, so
that a second capture of the same amount is another word. Of one that was told a line of text is
kept, from which it can be read what it was.
"""

import hashlib
from collections.abc import Container, Iterable
from decimal import Decimal
from typing import Final

import msgspec

from payhooks.connectors.contract import Heard, Told

_SEPARATOR: Final = "\x1f"
KEY_BYTES: Final = 16
# Equal ones are not the same news, however far apart.
_MONEY_EACH_TIME: Final = frozenset({"payment_captured"})


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One thing heard, and the id of the receipt that brought it."""

    heard: Heard
    receipt_id: bytes
    # A person has said that it is news, whatever the provider had said before.
    insisted: bool = False


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A unified event that is to be told of an object, once."""

    message: Message
    unified: str
    told: Told
    superseded: bool  # the object is further already
    correction: bool  # it takes back what was final
    beside: bool = False  # other captures stand, and it leaves them as they are
    number: int = 0  # among equal ones, from 1, once it is chosen to be told
    conflicting: str = ""  # another amount with which the same was said

    @property
    def heard(self) -> Heard:
        """What it tells."""
        return self.message.heard

    @property
    def meaning(self) -> str:
        """What equal words have in common: event with its news, object, amount and currency."""
        amount = "" if self.told.amount is None else str(self.told.amount.normalize())
        news = self.message.heard.news
        event = f"{self.unified}:{news}" if news else self.unified
        said = (event, self.told.object_type, self.told.object_id, amount)
        return _SEPARATOR.join([*said, self.told.currency or ""])

    @property
    def each_time(self) -> bool:
        """Whether it is news each time, as a capture is, and not a state that was reached."""
        heard = self.message.heard
        is_capture = heard.each_time or self.unified in _MONEY_EACH_TIME
        return is_capture or (self.beside and heard.capture != "")

    @property
    def text(self) -> str:
        """What makes it the same word for everybody: its meaning, and which of equal ones it is."""
        assert self.number, "nobody has chosen it"
        return f"{self.meaning}{_SEPARATOR}{self.number}"

    @property
    def said(self) -> str:
        """What is kept of it once it is told: its text, and which message it told."""
        return self.said_of(identity_of(self.message.heard))

    def said_of(self, identity: bytes) -> str:
        """Return what is kept of it where it was told of the message with this identity."""
        return f"{self.text}{_SEPARATOR}{identity.hex()}"


def identity_of(heard: Heard) -> bytes:
    """Return what a redelivery repeats, in 16 bytes: the provider's id of it, else all of it."""
    said = heard.event_id
    if said is None:
        framed = msgspec.msgpack.encode(
            (heard.word, heard.object_type, heard.object_id, heard.data)
        )
    else:
        framed = msgspec.msgpack.encode((heard.object_type, heard.object_id, said))
    return hashlib.sha256(framed).digest()[:KEY_BYTES]


def distinct(messages: Iterable[Message]) -> list[Message]:
    """Return the first of each, in order."""
    found: dict[bytes, Message] = {}
    for message in messages:
        found.setdefault(identity_of(message.heard), message)
    return list(found.values())


def object_of(said: str) -> tuple[str, str]:
    """Return type and id of the object that a word was about; *said* is what was kept of it."""
    _unified, object_type, rest = said.split(_SEPARATOR, 2)
    return object_type, rest.rsplit(_SEPARATOR, 4)[0]


def message_in(said: str) -> str:
    """Return which message a word told, in hexadecimal; *said* is what was kept of it."""
    return said.rsplit(_SEPARATOR, 1)[1]


def meaning_in(said: str) -> str:
    """Return what a word that was told has in common with its equals; *said* was kept of it."""
    return said.rsplit(_SEPARATOR, 2)[0]


def number_in(said: str) -> int:
    """Return which of equal words one that was told is; *said* is what was kept of it."""
    return int(said.rsplit(_SEPARATOR, 2)[1])


def retold(said: str, message: str) -> str:
    """Return what would be kept of the same word, if it was told of another message."""
    return _SEPARATOR.join((said.rsplit(_SEPARATOR, 1)[0], message))


def told_of_others(said: Iterable[str], identities: Container[bytes]) -> list[str]:
    """Return what was told of messages that have none of these identities, in order."""
    return [kept for kept in said if bytes.fromhex(message_in(kept)) not in identities]


def amount_in(said: str) -> tuple[Decimal, str] | None:
    """Return amount and currency of a word that was told; None where it named no amount."""
    amount, currency = meaning_in(said).rsplit(_SEPARATOR, 2)[1:]
    return (Decimal(amount), currency) if amount else None


def event_in(said: str) -> str:
    """Return which event a word that was told was; *said* is what was kept of it."""
    return said.split(_SEPARATOR, 1)[0].partition(":")[0]

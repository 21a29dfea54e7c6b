"""How a mail leaves, where the operator has named a server for that."""

from typing import Protocol

import msgspec


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One mail of plain text."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """The operator's mail server."""

    async def send(self, mail: Mail) -> None:
        """Hand the mail over.

        Raises:
            UnavailableError: It was not taken, or not in limits.MAIL_TIMEOUT_S.

        """
        ...

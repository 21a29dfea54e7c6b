"""A company's own format, as its merchant's ``custom_dialect`` says, heard."""

from functools import lru_cache
from typing import Final

from payhooks.connectors.contract import Guide, SecretWords
from payhooks.connectors.standard import Common
from payhooks.dialects import custom
from payhooks.dialects.contract import Reading
from payhooks.dialects.custom_template import ID
from payhooks.model.custom_dialect import CustomDialect

_GUIDE: Final = Guide(
    where="At the sender, as the URL of its webhooks.",
    events="Whatever its types are called in the family that the connector names.",
    secret="Bring back the secret that the sender signs with, as its text stands.",  # noqa: S106 - words # nosec B106
    source_url="https://www.rfc-editor.org/rfc/rfc2104",
)
_SECRET: Final = SecretWords(
    label="Secret", words="The secret that both sides hold; its text is the key."
)

# What remains where a merchant's format was removed: it verifies nothing.
CUSTOM: Final = Common(
    custom.UNDEFINED, title="Own format", guide=_GUIDE, secret=_SECRET, signed_in=None
)


class Own(Common):
    """One company's format."""

    def __init__(self, definition: CustomDialect) -> None:
        """Take a definition.

        Raises:
            InvalidError: At ``/custom_dialect/…``; it names every member that is wrong.

        """
        dialect = custom.bind(definition)
        super().__init__(
            dialect,
            title=CUSTOM.title,
            guide=_GUIDE,
            secret=_SECRET,
            signed_in=definition.signature_header,
        )
        self.own_ids = dialect.id_paths
        self._signs_id = f"{{{ID}}}" in definition.signed
        # A header of that name would pass for the body's.
        self._names_it_once = (definition.id_header or "").lower() != ID

    def event_id_of(self, reading: Reading) -> str | None:
        """Return the id of the body, else that of the header where it is signed.

        One that anybody may change would let a request be told anew as often as it is sent.
        """
        in_body = ID if self._names_it_once else None
        ids = [text for name, text in reading.ids if name == in_body or self._signs_id]
        return ids[0] if ids else None


@lru_cache(maxsize=custom.BOUND_MAX)
def bind(definition: CustomDialect) -> Own:
    """Return the provider who speaks the format.

    Raises:
        InvalidError: At ``/custom_dialect/…``; it names every member that is wrong.

    """
    return Own(definition)

"""A company's own format, as its merchant's ``custom_dialect`` says, heard."""

from functools import lru_cache
from typing import Final

from payhooks.connectors.contract import Guide, SecretWords
from payhooks.connectors.standard import Common
from payhooks.dialects import custom
from payhooks.model.custom_dialect import CustomDialect

_GUIDE: Final = Guide(
    where="At the sender, as the URL of its webhooks.",
    events="Whatever its types are called in the family that the connector names.",
    secret="Bring back the secret that the sender signs with, as its text stands.",  # noqa: S106 - words
    source_url="https://www.rfc-editor.org/rfc/rfc2104",
)
_SECRET: Final = SecretWords(
    label="Secret", words="The secret that both sides hold; its text is the key."
)

# What remains where a merchant's format was removed: it verifies nothing.
CUSTOM: Final = Common(
    custom.UNDEFINED, title="Own format", guide=_GUIDE, secret=_SECRET, signed_in=None
)


@lru_cache(maxsize=custom.BOUND_MAX)
def bind(definition: CustomDialect) -> Common:
    """Return the provider who speaks the format.

    Raises:
        InvalidError: At ``/custom_dialect/…``; it names every member that is wrong.

    """
    return Common(
        custom.bind(definition),
        title=CUSTOM.title,
        guide=_GUIDE,
        secret=_SECRET,
        signed_in=definition.signature_header,
    )

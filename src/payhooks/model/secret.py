"""A secret at rest: AES-256-GCM sealed, bound to what it belongs to."""

from datetime import datetime
from enum import StrEnum

import msgspec

from payhooks.ids import MerchantId


class SecretPurpose(StrEnum):
    """What a secret is for; part of what its seal is bound to."""

    ENDPOINT = "endpoint"  # signs one endpoint's deliveries
    SIGNATURE_KEY = "signature_key"  # signs a merchant's deliveries
    SOURCE_KEY = "source_key"  # the text of an API key that signs
    AUTHENTICATION = "authentication"  # password, token or header value of an endpoint
    INBOX = "inbox"  # the word in the URL of an inbox
    CONNECTOR = "connector"  # what a provider signs with that sends to one connector
    CONNECTOR_CREDENTIAL = "connector_credential"  # what a provider shows, or we show it
    TOTP = "totp"  # the seed of a user's codes; belongs to no merchant


class SealedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """One secret, sealed. ``owner_id``: the endpoint, connector, merchant or key it belongs to."""

    id: bytes
    merchant_id: MerchantId
    owner_id: bytes
    purpose: SecretPurpose
    sealed: bytes  # key id, nonce, ciphertext and tag, as flow's keyring wrote them
    created_at: datetime
    expires_at: datetime | None  # set when rotated out: signs until then

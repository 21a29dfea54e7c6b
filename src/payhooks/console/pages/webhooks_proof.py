"""What a receiver verifies a webhook's requests with: which key, its text once, and the code.

The snippets are those of the documentation, which are run against every dialect; cloudevents
signs as standard does.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from payhooks.console.page import Visit
from payhooks.control import secrets
from payhooks.control.secrets import Revealed
from payhooks.model.endpoint import Endpoint, SignatureType
from payhooks.model.key import Scope
from payhooks.ports.controlling import Window

_FOLDER: Final = Path(__file__).parent.parent / "snippets"
_SNIPPET: Final = re.compile(r"^### ([^\n]+)\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SAME_AS: Final = {"cloudevents": "standard", "hyperswitch": "owngateway"}
SIGNERS: Final = {
    SignatureType.NONE: "None",
    SignatureType.SOURCE_KEY: "Source Key",
    SignatureType.SIGNATURE_KEY: "Signature Key",
    SignatureType.ENDPOINT_SECRET: "Own secret",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What to verify with."""

    signer: str
    key: str  # which of the Source Keys; empty for others
    revealed: tuple[Revealed, ...] = field(repr=False)  # newest first; empty if not to be shown
    can_reveal: bool
    snippets: tuple[tuple[str, str], ...]  # language and code


async def proof_of(visit: Visit, endpoint: Endpoint, *, reveal: bool) -> Proof:
    """Return what verifies the webhook's requests; *reveal* shows its text, on record."""
    kind = endpoint.signature.type
    # The text of a Source Key was shown when it was made, and is shown no second time.
    ours = kind in {SignatureType.SIGNATURE_KEY, SignatureType.ENDPOINT_SECRET}
    can_reveal = ours and visit.may(Scope.SECRETS_READ)
    revealed: list[Revealed] = []
    if can_reveal and reveal:
        if kind is SignatureType.SIGNATURE_KEY:
            revealed = await secrets.reveal_signature_key(
                visit.control, visit.caller, visit.merchant
            )
        else:
            revealed = await secrets.reveal_endpoint_secret(visit.control, visit.caller, endpoint)
    return Proof(
        signer=SIGNERS[kind],
        key=await source_key_label(visit, endpoint),
        revealed=tuple(revealed),
        can_reveal=can_reveal,
        snippets=() if kind is SignatureType.NONE else snippets(endpoint.dialect),
    )


async def source_key_label(visit: Visit, endpoint: Endpoint) -> str:
    """Return how the Source Key is called that signs; empty where another signs."""
    key_id = endpoint.signature.key_id
    if key_id is None:
        return ""
    after = (int.from_bytes(key_id, "big") + 1).to_bytes(len(key_id), "big")
    found = await visit.control.store.keys(visit.merchant.id, Window(limit=1, after=after))
    return next((f"{key.label} (…{key.hint})" for key in found if key.id == key_id), "")


@lru_cache(maxsize=32)
def snippets(dialect: str) -> tuple[tuple[str, str], ...]:
    """Return language and code of each; none for a dialect that only its owner can describe."""
    page = _SAME_AS.get(dialect, dialect)
    # From the folder's own list: the name may be any text that once named a dialect.
    path = next((one for one in _FOLDER.iterdir() if one.name == f"{page}.md"), None)
    if path is None:
        return ()
    found = _SNIPPET.findall(path.read_text(encoding="utf-8"))
    return tuple((name, code.replace(f'"{page}"', f'"{dialect}"')) for name, code in found)

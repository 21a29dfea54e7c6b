"""How receipts stand in a table: what never changes as a document, what became of them beside it.

The body is a column too: half as long as in JSON, and not decoded where it is not asked for.
"""

import msgspec

from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.storage import documents


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a receipt, as its columns say."""

    state: str
    detail: str | None
    word: str | None
    object_type: str | None
    object_id: str | None


def encode(receipt: Receipt) -> bytes:
    """Return the document of a receipt: without its body, and without its fate."""
    unread = msgspec.structs.replace(
        receipt,
        body=b"",
        state=ReceiptState.RECEIVED,
        detail=None,
        word=None,
        object_type=None,
        object_id=None,
    )
    return documents.encode(unread)


def decode(document: bytes, body: bytes, fate: Fate) -> Receipt:
    """Return the receipt that ``encode`` wrote, with its body and its fate.

    Raises:
        DamagedError: The document is none.

    """
    return msgspec.structs.replace(
        documents.decode(Receipt, document),
        body=body,
        state=ReceiptState(fate.state),
        detail=fate.detail,
        word=fate.word,
        object_type=fate.object_type,
        object_id=fate.object_id,
    )

"""An expectation: that an object which waits goes on within the time its provider takes."""

from datetime import datetime

import msgspec

from payhooks.ids import ConnectorId, MerchantId


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """One object that waits, and until when that is usual."""

    id: bytes  # 16 bytes, sortable by time: when it began to wait
    merchant_id: MerchantId
    connector_id: ConnectorId
    object_type: str  # the unified object
    object_id: str
    heard_type: str  # the provider's object, by which its history is found
    heard_id: str
    since: datetime
    due_at: datetime  # overdue then; once overdue, when it is looked at next
    overdue: bool = False
    heard_again: int = 0  # how often it was heard meanwhile: the object waits, or moved

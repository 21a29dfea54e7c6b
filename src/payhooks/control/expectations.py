"""What waits for longer than its provider usually takes."""

from payhooks.control.context import Control
from payhooks.model.connector import Connector
from payhooks.model.expectation import Expectation
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Window


async def overdue(
    control: Control, merchant: Merchant, connector: Connector | None, window: Window
) -> list[Expectation]:
    """Return what is overdue, of one connector or of all, newest first."""
    connector_id = None if connector is None else connector.id
    return await control.store.overdue(merchant.id, connector_id, window)

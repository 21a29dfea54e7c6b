"""Changes that nobody asked for by hand: what a receiver's answer or days of failure bring."""

from payhooks.control import endpoints
from payhooks.control.context import SYSTEM, Control
from payhooks.control.endpoints import Move
from payhooks.errors import StaleVersionError, WrongStateError
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.endpoint import DisabledReason

# Somebody may be editing the endpoint at the same moment; a few looks are plenty.
_TRIES: int = 5


async def disable(
    control: Control, merchant_id: MerchantId, endpoint_id: EndpointId, reason: DisabledReason
) -> None:
    """Disable the endpoint, audited as the system's doing; no word if it is gone or disabled."""
    for _ in range(_TRIES):
        endpoint = await control.store.endpoint(merchant_id, endpoint_id)
        if endpoint is None:
            return
        try:
            await endpoints.move(control, SYSTEM, endpoint, Move.DISABLE, reason=reason)
        except StaleVersionError:
            continue
        except WrongStateError:
            pass  # Deleted meanwhile: there is nothing left to stop.
        return

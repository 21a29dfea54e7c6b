"""Changes that nobody asked for by hand: what receivers' answers, failure and silence bring."""

from payhooks.control import endpoints, listen
from payhooks.control.context import SYSTEM, Control
from payhooks.control.endpoints import Move
from payhooks.errors import NotFoundError, StaleVersionError, WrongStateError
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


async def forget_listener(
    control: Control, merchant_id: MerchantId, endpoint_id: EndpointId
) -> None:
    """Delete a listening endpoint whose stream is gone; no word if it is gone itself."""
    endpoint = await control.store.endpoint(merchant_id, endpoint_id)
    if endpoint is None:
        return
    try:
        await listen.stop(control, SYSTEM, endpoint)
    except (NotFoundError, StaleVersionError, WrongStateError):
        return  # Its stream ended in order at the same moment.

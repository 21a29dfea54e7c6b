"""What other distributions bring: dialects, made known once before anything is served."""

from functools import cache
from importlib.metadata import entry_points

from payhooks.dialects.offered import Offer
from payhooks.dialects.registry import ENTRY_POINTS, register
from payhooks.errors import InvalidError


@cache
def load_dialects() -> tuple[str, ...]:
    """Make the dialects that other distributions bring known, once; return who brings them.

    Raises:
        InvalidError: One of them is broken; it says which, and what is wrong with it.

    """
    offers = []
    for entry in entry_points(group=ENTRY_POINTS):
        brought_by = "" if entry.dist is None else f" in {entry.dist.name} {entry.dist.version}"
        origin = f"{entry.name}{brought_by}"
        try:
            offers.append(Offer(origin, entry.load()))
        except Exception as error:
            # Importing foreign code may raise anything; the words of it are not ours to trust.
            detail = f"{origin} cannot be imported: {type(error).__name__}."
            raise InvalidError.at(ENTRY_POINTS, "broken_dialect", detail) from error
    register(offers)
    return tuple(offer.origin for offer in offers)

"""The way in: to the first page that the role may see."""

from starlette.responses import Response

from payhooks.console.page import Factor, Visit, page


@page("GET", "/", needs=None, factor=Factor.ONCE)
async def start(visit: Visit) -> Response:
    """Go to the first entry of the menu; without one, to the user's own page."""
    entries = [entry for group in visit.menu for entry in group.entries]
    return visit.go(entries[0].path if entries else "/account")

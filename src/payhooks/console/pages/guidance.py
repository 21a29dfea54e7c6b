"""Help that has to be readable for those who cannot get in."""

from starlette.responses import Response

from payhooks.console.page import Guest, public


@public("GET", "/help/two-factor")
async def two_factor(guest: Guest) -> Response:
    """Tell how a second factor is enabled for one's Username."""
    return guest.show("help_two_factor.html", title="Two-factor authentication")


@public("GET", "/help/password")
async def password(guest: Guest) -> Response:
    """Tell whom to ask for a new password."""
    return guest.show("help_password.html", title="Forgot your password?")

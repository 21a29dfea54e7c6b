"""What a body must claim to be before it is read."""

from typing import Final

from payhooks.api import asgi
from payhooks.api.problems import Kind, ending

_UTF8: Final = frozenset({"utf-8", "utf8"})


def demand_json(scope: asgi.Scope) -> None:
    """Return if the body claims to be JSON in UTF-8.

    A form or plain text is refused even if it reads as JSON: those are what a page on another
    site can make a browser send.

    Raises:
        ProblemError: It claims something else, or nothing.

    """
    raw = asgi.header(scope, b"content-type")
    if raw == b"application/json":
        return
    essence, _, parameters = (raw or b"").decode("latin-1").lower().partition(";")
    essence = essence.strip()
    is_json = essence == "application/json" or (
        essence.startswith("application/") and essence.endswith("+json")
    )
    if not is_json:
        raise ending(Kind.MEDIA_TYPE, "Send Content-Type: application/json.")
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _UTF8:
            raise ending(Kind.MEDIA_TYPE, "JSON is UTF-8; send no other charset.")

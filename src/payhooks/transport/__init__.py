"""The one way out: nothing else in this package opens a connection to a host that a user gave.

What holds it together: a URL is read by one strict parser, its name is resolved here and every
answer judged, the connection goes to the judged addresses only, and the address is judged again
when the socket is opened. One deadline covers all of it, and little of the answer is read.
"""

from payhooks.transport.curl import CurlTransport
from payhooks.transport.resolve import Resolver, SystemResolver, Unresolved

__all__ = ["CurlTransport", "Resolver", "SystemResolver", "Unresolved"]

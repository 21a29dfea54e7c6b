"""The HTTP API: reads requests, asks control and flow, writes answers. Decides nothing."""

from payhooks.api.app import create_app
from payhooks.api.services import Readiness, Services

__all__ = ["Readiness", "Services", "create_app"]

"""The HTTP API: reads requests, asks control and flow, writes answers. Decides nothing."""

from payhooks.api.app import Application, create_application
from payhooks.api.services import Readiness, Services

__all__ = ["Application", "Readiness", "Services", "create_application"]

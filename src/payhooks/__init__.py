"""The open-source webhook platform for payments: nothing accepted is ever lost."""

__all__ = ["__version__"]

__version__ = "0.1.0"

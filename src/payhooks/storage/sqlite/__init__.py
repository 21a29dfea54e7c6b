"""The embedded store: one file, one writer, every answer after it is on the disk."""

from payhooks.storage.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]

"""The store on PostgreSQL 15 and later: many processes, many machines.

Hot statements are versioned functions of the database, made by the migrations: one call, one
transaction, so that a client that stops in the middle holds nothing.
"""

from payhooks.storage.postgres.store import PostgresStore

__all__ = ["PostgresStore"]

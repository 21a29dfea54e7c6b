"""``payhooks worker``."""


def worker() -> None:
    """Send deliveries without serving; any number beside each other, on PostgreSQL."""
    from payhooks.cli import local, running  # noqa: PLC0415 - start-up time

    running.work(local.settings())

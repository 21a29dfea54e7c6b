"""Progress bars, on standard error, so that data can be piped while somebody watches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(title: str, *, total: float | None) -> Iterator[Callable[[float], None]]:
    """Yield a function that is told how much is done; *total* None where nobody knows."""
    # Rich takes a tenth of a second to import, and most commands show no bar.
    from rich.console import Console  # noqa: PLC0415 - start-up time
    from rich.progress import (  # noqa: PLC0415 - start-up time
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        # A file of control characters helps nobody who reads a log afterwards.
        disable=not console.is_terminal,
    )
    with progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)

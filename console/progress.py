"""Long work on the screen: what is being done, how far it is, and a live line beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from libs.research.training.base import Progress as Tell


@contextmanager
def bars(*, quiet: bool = False) -> Iterator[Tell]:
    """A bar for each thing that is told of, on stderr; where that is no screen, a line as each begins and ends."""
    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[line]}"),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}
        ended: set[str] = set()

        def tell(what: str, share: float, line: str) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=1.0, line="")
                if not console.is_terminal and not quiet:
                    console.print(f"{what} ...")
            progress.update(tasks[what], completed=share, line=line)
            if share >= 1.0 and what not in ended:
                ended.add(what)
                if not console.is_terminal and not quiet:
                    console.print(f"{what} done{f': {line}' if line else ''}")

        yield tell

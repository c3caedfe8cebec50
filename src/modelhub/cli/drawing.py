"""Progress bars, drawn with rich; loaded when the first is shown."""

from __future__ import annotations

from typing import TextIO, final

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from modelhub.types.records import Progress

__all__ = ["Drawing"]


class _Bar(BarColumn):
    """A bar where the total is known; nothing elsewhere."""

    def render(self, task: Task) -> Text:  # type: ignore[override]  # anything that can be drawn will do
        return Text() if task.total is None else super().render(task)  # type: ignore[return-value]  # likewise


class _Figures(ProgressColumn):
    """How much of how much, and how fast."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text(f"{task.elapsed or 0:.0f} s", style="dim")
        if task.fields["unit"] != "bytes":
            return Text(f"{task.completed:.0f}/{task.total:.0f} {task.fields['unit']}")
        speed = task.finished_speed or task.speed
        amount = f"{decimal(int(task.completed))} / {decimal(int(task.total))}"
        return Text(f"{amount}  {decimal(int(speed))}/s" if speed else amount)


@final
class Drawing:
    """Bars on a terminal: one for each message that was reported, the newest at the bottom."""

    def __init__(self, stream: TextIO, *, kept: bool) -> None:
        console = Console(file=stream, highlight=False)
        message = TextColumn("{task.description}", markup=False)
        self._bars = Bars(SpinnerColumn(), message, _Bar(), _Figures(), console=console, transient=not kept)
        self._tasks: dict[str, TaskID] = {}
        self._bars.start()

    def update(self, progress: Progress) -> None:
        """Draw a report; a message that has no total gives its line to the next one."""
        message = " ".join(progress.message.split())
        if self._tasks.get(message) not in self._bars.task_ids:
            self._drop_unmeasured()
            total = None if progress.fraction is None else progress.total
            self._tasks[message] = self._bars.add_task(message, total=total, unit=progress.unit)
        task_id = self._tasks[message]
        if progress.fraction is not None:
            self._bars.update(task_id, completed=progress.completed, total=progress.total)

    def stop(self) -> None:
        """End drawing; of what stays, only what had a total."""
        self._drop_unmeasured()
        self._bars.stop()

    def _drop_unmeasured(self) -> None:
        for task in [task for task in self._bars.tasks if task.total is None]:
            self._bars.remove_task(task.id)

"""The live table on a terminal. `render` is pure: a view in, something rich can print out.

It is drawn again when something happened and once a second for the clocks, never more than ten times a second, and
not for more than a twentieth of the time, so that watching costs next to nothing (Q-2).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from maestro.clock import Clock
from maestro.model.events import Event, RunStarted
from maestro.model.folding import apply, begin
from maestro.model.run import Run
from maestro.model.states import FINAL, TaskState
from maestro.model.view import RunView, TaskView, view_of
from maestro.telemetry.oneline import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TICK_SECONDS = 1.0
SHORTEST_SECONDS = 0.1

REST = 20
"""After a drawing, so many times as long as it took: with thousands of tasks it takes a tenth of a second."""

GAP = 2
"""Blanks between columns."""

SHORTEST_WORDS = 12
"""Columns below which reasons and titles are left out, so that names and states can be read."""

STYLES = {
    TaskState.PENDING: "dim",
    TaskState.RUNNING: "cyan",
    TaskState.SUBMITTED: "blue",
    TaskState.LANDED: "green",
    TaskState.FAILED: "bold red",
    TaskState.BLOCKED: "yellow",
    TaskState.CANCELLED: "magenta",
}

_ORDER = {
    TaskState.RUNNING: 0,
    TaskState.SUBMITTED: 1,
    TaskState.FAILED: 2,
    TaskState.BLOCKED: 3,
    TaskState.CANCELLED: 4,
    TaskState.PENDING: 5,
    TaskState.LANDED: 6,
}
"""What needs eyes first, where not all tasks fit on the screen."""


def render(view: RunView, height: int, width: int) -> RenderableType:
    """The run as a heading, a bar and a table that fits into `height` lines of `width` columns."""
    warnings = view.warnings[-min(3, height - 10) :] if height > 10 else ()
    room = max(3, height - 6 - len(warnings) - len(view.holds))
    shown = _fitting(view.tasks, room)
    parts: list[RenderableType] = [_heading(view), _bar(view, min(60, width)), _table(shown, width)]
    if len(shown) < len(view.tasks):
        parts.append(Text(f"… and {len(view.tasks) - len(shown)} more tasks", style="dim"))
    parts += [_line(f"warning: {one_line(said)}", "yellow") for said in warnings]
    if view.sequential:
        parts.append(_line(f"one task at a time: {one_line(view.sequential)}", "yellow"))
    now = view.started_at + timedelta(seconds=view.seconds)
    parts += [_line(one_line(hold.words(now)), "yellow") for hold in view.holds]
    if view.gate_waits:
        parts.append(_line(one_line(f"the gate {view.gate_waits}"), "dim"))
    if view.stopped:
        parts.append(_line(f"nothing new is started: {one_line(view.stopped)}", "bold yellow"))
    elif view.throttled:
        parts.append(_line(f"no more is started for now: {one_line(view.throttled)}", "yellow"))
    return Group(*parts)


def _line(text: str, style: str) -> Text:
    """One that never wraps: the picture would grow beyond the screen."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _heading(view: RunView) -> Text:
    """The counts first: they are what is left on a narrow screen."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for state in TaskState:
        if view.counts[state]:
            text.append(f"{view.counts[state]} {state}  ", style=STYLES[state])
    text.append(f"{duration(view.seconds)}  ", style="dim")
    for used in _used(view):
        text.append(f"{used}  ", style="dim")
    text.append(f"run {view.run_id}", style="bold")
    text.append(f"  → {view.integration_branch}", style="dim")
    return text


def _used(view: RunView) -> list[str]:
    """What was used of each budget; without one, what it has cost."""
    if view.budgets:
        return [standing.clause() for standing in view.budgets]
    return [] if view.cost_usd is None else [f"{view.cost_usd:.2f} USD"]


def _bar(view: RunView, width: int) -> Text:
    """How much has landed, and how much never will; told apart without colours too."""
    total = max(1, len(view.tasks))
    landed = width * view.counts[TaskState.LANDED] // total
    lost = width * sum(view.counts[state] for state in FINAL - {TaskState.LANDED}) // total
    return Text.assemble(("━" * landed, "green"), ("╍" * lost, "red"), ("─" * (width - landed - lost), "dim"))


def _fitting(tasks: Sequence[TaskView], room: int) -> list[TaskView]:
    """As many as fit, the most interesting ones, in their given order."""
    if len(tasks) <= room:
        return list(tasks)
    chosen = {task.id for task in sorted(tasks, key=lambda task: _ORDER[task.state])[: room - 1]}
    return [task for task in tasks if task.id in chosen]


def _table(tasks: Sequence[TaskView], width: int) -> Table:
    """The last column gets what the others leave; where that is nothing to speak of, there is none."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    rows = [_row(task) for task in tasks]
    names = ("task", "state", "try", "time")
    widths = [max([len(name), *(row[at].cell_len for row in rows)]) for at, name in enumerate(names)]
    widths[0] = min(widths[0], max(8, min(32, width // 3)))
    for name, wide in zip(names, widths, strict=True):
        table.add_column(name, header_style="dim", no_wrap=True, overflow="ellipsis", width=wide)
    left = width - sum(widths) - GAP * len(widths)
    if left >= SHORTEST_WORDS:
        table.add_column("", no_wrap=True, overflow="ellipsis", max_width=left)
    for row in rows:
        table.add_row(*row[: len(table.columns)])
    return table


def _row(task: TaskView) -> list[Text]:
    suspected = f"suspected: {task.suspected}" if task.suspected else ""
    about = suspected or task.waits or task.reason or (task.commit or "")[:10] or task.title
    return [
        Text(one_line(task.id)),
        Text(task.state, style=STYLES[task.state]),
        Text(f"{task.attempt}/{task.attempts_allowed}" if task.attempt else ""),
        Text("" if task.seconds is None else duration(task.seconds)),
        Text(one_line(about), style="dim"),
    ]


def duration(seconds: float) -> str:
    """`7s`, `3m 07s`, `2h 05m`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


class LiveObserver:
    """An Observer that draws on a terminal; `close` leaves the last picture there and gives the cursor back."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._clock = clock
        self._console = Console(file=stream)
        self._run: Run | None = None
        self._live = Live(
            console=self._console, auto_refresh=False, get_renderable=self._picture, redirect_stdout=False
        )
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._drawer = threading.Thread(target=self._draw, name="live view", daemon=True)

    def notify(self, event: Event) -> None:
        """Fold one event; it is drawn soon."""
        with self._closed_where_it_fails():
            if isinstance(event, RunStarted):
                self._show(event, begin(event))
            elif self._run is not None:
                self._show(event, apply(self._run, event))

    def follow(self, event: Event, run: Run) -> None:
        """The same, with the run after the event."""
        with self._closed_where_it_fails():
            self._show(event, run)

    def _show(self, event: Event, run: Run) -> None:
        self._run = run
        if isinstance(event, RunStarted):
            self._live.start()
            self._drawer.start()
        self._woken.set()

    @contextmanager
    def _closed_where_it_fails(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.close()  # whoever fails is never called again, and the cursor would stay hidden
            raise

    def close(self) -> None:
        """Draw the end, and give the terminal back as it was."""
        self._closing.set()
        self._woken.set()
        if self._drawer.is_alive():
            self._drawer.join()
        self._live.stop()

    def _draw(self) -> None:
        while not self._closing.is_set():
            begun = self._clock.monotonic()
            self._live.refresh()
            self._closing.wait(max(SHORTEST_SECONDS, REST * (self._clock.monotonic() - begun)))
            self._woken.wait(TICK_SECONDS)
            self._woken.clear()

    def _picture(self) -> RenderableType:
        if self._run is None:
            return Text("")
        return render(view_of(self._run, self._clock.now()), self._console.height, self._console.width)

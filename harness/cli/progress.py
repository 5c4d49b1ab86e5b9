"""Progress of a run on standard error: phases, repeats, watts, remaining time; plain lines when not a terminal."""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from wattbench.harness.cli.escape import visible
from wattbench.harness.plan import Resolved
from wattbench.results.plan import Plan
from wattbench.results.traffic_words import arrival_of

__all__ = ["ConsoleReporter"]


class ConsoleReporter:
    """Draws a live line per phase on a terminal and writes one line per event elsewhere.

    `path` is the result's, None as long as the run has not started.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.path: str | None = None
        self._console = Console(stderr=True, quiet=quiet, highlight=False, markup=False, emoji=False)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._watts: Callable[[], float | None] = lambda: None
        self._rates = ""
        self._plan: Plan | None = None
        self._done = 0
        self._later_s = 0.0

    def started(self, resolved: Resolved, path: str, watts: Callable[[], float | None]) -> None:
        """Say what will run and where the result goes."""
        plan, self._watts, self.path = resolved.plan, watts, path
        what = f"{plan.load} on {plan.backend}/{plan.device} in {plan.precision}, {arrival_of(plan)}"
        self._console.print(f"running   {visible(what)}", soft_wrap=True)
        self._console.print(f"result    {visible(path)}", soft_wrap=True)
        if self._console.is_terminal:
            columns: list[Any] = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24)]
            columns += [TimeElapsedColumn(), TextColumn("{task.fields[live]}")]
            self._progress = _WattProgress(*columns, console=self._console, transient=True)
            self._progress.live_text = self._live
            self._plan = plan
            self._progress.start()

    def phase(self, name: str, expected_s: float | None, detail: str = "") -> None:
        """Show the phase with its expected length."""
        title = f"{name} {detail}".strip()
        if self._progress is None:
            return
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._later_s = later_s(self._plan, title, self._done) if self._plan else 0.0
        self._task = self._progress.add_task(title, total=expected_s, live="")

    def repeat(self, index: int, of: int, rates: str, watts: float | None) -> None:
        """Write one line a repeat."""
        self._rates, self._done = rates, index
        power = f"  {watts:.1f} W" if watts is not None else ""
        self._console.print(f"repeat    {index} of at most {of}: {rates}{power}")

    def note(self, text: str) -> None:
        """Write one line."""
        self._console.print(f"note      {visible(text)}", soft_wrap=True)

    def ended(self) -> None:
        """Take the live line away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _live(self, phase_left_s: float) -> str:
        watts = self._watts()
        minutes, seconds = divmod(round(phase_left_s + self._later_s), 60)
        parts = [f"{minutes}:{seconds:02} left at least"]
        parts += [self._rates] if self._rates else []
        parts += [f"{watts:.0f} W"] if watts is not None else []
        return "  ".join(parts)


def later_s(plan: Plan, phase: str, done: int) -> float:
    """Return how long the phases after this one take at least, in seconds, with `done` repeats measured so far."""
    measure_s = plan.window_s + plan.jitter_max_s / 2
    if phase == "idle after":
        return 0.0
    if phase.startswith("measure"):
        return max(0, plan.repeats_min - done - 1) * measure_s + plan.idle_s
    measuring_s = plan.repeats_min * measure_s + plan.idle_s
    return measuring_s if phase == "warm-up" else plan.warmup_min_s + measuring_s


class _WattProgress(Progress):
    """A progress display whose only task advances with the clock and shows remaining time and watts of the moment."""

    live_text: Callable[[float], str] = staticmethod(lambda _: "")

    def get_renderables(self) -> Any:  # any: rich types it as an iterable of its renderables
        """Advance the task to the elapsed time before each drawing."""
        for task in self.tasks:
            elapsed = task.elapsed or 0.0
            if task.total is not None:
                task.completed = min(task.total, elapsed)
            task.fields["live"] = self.live_text(max(0.0, (task.total or 0.0) - elapsed))
        return super().get_renderables()

"""`maestro cleanup-orphans`: what runs that died left behind, with the reason for each, and an end of it (W-6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from maestro.cli.app import App
from maestro.cli.columns import columns
from maestro.cli.options import complete_folder, output_options

if TYPE_CHECKING:
    from maestro.config.settings import Settings
    from maestro.store.layout import Layout
    from maestro.wiring.orphans.kinds import Cleared, Orphan
    from maestro.wiring.orphans.scene import RunFacts, Scene

FAILED = 1


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what there is, also with --force.")
@click.option("--force", is_flag=True, help="Do away with it: processes are stopped, work is saved first.")
@click.option("--run-id", metavar="ID", help="Only what this run left.")
@click.option(
    "--workspace-root", metavar="DIR", help="The folder that holds the workspaces.", shell_complete=complete_folder
)
@output_options
@click.pass_obj
def command(app: App, dry_run: bool, force: bool, run_id: str | None, workspace_root: str | None) -> int:
    """Show what runs that died left behind: processes, workspaces, branches, files and claims; with --force, do away
    with it.

    Nothing without maestro's mark is touched, nothing of a run that lives, and no work is lost: what has not landed
    is saved under refs/maestro/saved first.
    """
    layout = app.layout()
    settings = app.load({"workspace_root": workspace_root}, repository=layout.repository).settings
    scene = _scene(app, layout, settings)
    if run_id is not None:
        _check(scene, run_id)
    if dry_run or not force:
        return _show(app, scene, run_id, settings)
    return _clear(app, scene, run_id, settings)


def _scene(app: App, layout: Layout, settings: Settings) -> Scene:
    from maestro.clock import SystemClock
    from maestro.proc.ladder import Graces
    from maestro.vcs.git import Git
    from maestro.wiring.orphans.scene import Scene
    from maestro.workspaces.roots import default_root

    return Scene(
        git=Git(app.repository(), env=app.environ),
        layout=layout,
        root=settings.workspace_root or default_root(layout.repository, app.environ),
        environ=app.environ,
        now=SystemClock().now(),
        graces=Graces(
            interrupt_seconds=settings.stop_interrupt_seconds, terminate_seconds=settings.stop_terminate_seconds
        ),
        redactor=app.output.redactor,
    )


def _check(scene: Scene, run_id: str) -> None:
    """Busy where the run lives, BadInput where nothing is known of such a run, or it is kept elsewhere."""
    from shlex import quote

    from maestro.errors import BadInput, Busy
    from maestro.model.ids import is_plain
    from maestro.wiring.orphans.find import candidates

    if not is_plain(run_id):
        raise BadInput(f"{run_id!r} cannot name a run", hint="`maestro status` lists the runs")
    if scene.is_live(run_id):
        raise Busy(
            f"run {run_id} is under way: nothing of it is an orphan",
            hint="stop it with ^C, or wait for its end",
        )
    if (words := scene.elsewhere.words(run_id)) is not None:
        keeper = scene.elsewhere.keeper_of(run_id)
        raise BadInput(words, hint=f"call it there: maestro -C {quote(str(keeper))} cleanup-orphans --run-id {run_id}")
    if not scene.layout.run(run_id).is_dir() and not candidates(scene, run_id):
        raise BadInput(
            f"there is no run {run_id} in {scene.layout.repository}, and nothing that one left",
            hint="`maestro status` lists the runs",
        )


def _show(app: App, scene: Scene, run_id: str | None, settings: Settings) -> int:
    from maestro.wiring.orphans.act import counts
    from maestro.wiring.orphans.expired import find_expired
    from maestro.wiring.orphans.find import find_orphans

    found = find_orphans(scene, run_id)
    expired = find_expired(scene.git, scene.layout, settings, scene.now, run_id)
    orphans = [*found.orphans, *expired.orphans]
    if app.output.as_json:
        entries = [{**_entry(one), "done": False, "failed": False, "saved_ref": None} for one in orphans]
        app.output.json(_object(scene, True, entries, found.runs, counts(orphans), found.problems, found.spared))
        return 0
    app.output.text(*columns(_row(one, "stays" if one.stays else "would go", one.stays) for one in orphans))
    _tell_runs(app, found.runs)
    _tell_spared(app, found.spared)
    for problem in found.problems:
        app.output.warn(problem)
    if not orphans:
        app.output.text("Nothing is left of runs that died.")
    else:
        them = "it" if len(orphans) == 1 else "them"
        app.output.text(f"{_summary(orphans)} left. `maestro cleanup-orphans --force` does away with {them}.")
    return 0


def _clear(app: App, scene: Scene, run_id: str | None, settings: Settings) -> int:
    from maestro.wiring.orphans.act import clear_orphans, counts
    from maestro.wiring.orphans.expired import clear_expired, find_expired

    expired = find_expired(scene.git, scene.layout, settings, scene.now, run_id)  # what is saved now stays
    result = clear_orphans(scene, run_id)
    cleared = [*result.cleared, *clear_expired(scene.git, scene.layout, expired, scene.now)]
    gone = [one.orphan for one in cleared if one.done]
    code = FAILED if result.problems or any(one.failed for one in cleared) else 0
    if app.output.as_json:
        entries = [_cleared_entry(one) for one in cleared]
        app.output.json(_object(scene, False, entries, result.runs, counts(gone), result.problems, result.spared))
        return code
    app.output.text(*columns(_cleared_row(one) for one in cleared))
    _tell_runs(app, result.runs)
    _tell_spared(app, result.spared)
    for problem in result.problems:
        app.output.complain(problem)
    if gone:
        app.output.text(f"{_summary(gone)} gone.")
    elif not cleared and not result.problems:
        app.output.text("Nothing is left of runs that died.")
    return code


def _row(one: Orphan, state: str, why: str) -> tuple[str, str]:
    sentence = f"{one.what}{', ' if one.pid is not None else ': '}{one.reason}"
    return state, f"{sentence}; {why}" if why else sentence


def _cleared_row(one: Cleared) -> tuple[str, str]:
    said = f"saved as {one.saved_ref}" if one.saved_ref else one.why
    return _row(one.orphan, "gone" if one.done else "stays", said)


def _tell_runs(app: App, runs: Iterable[RunFacts]) -> None:
    for run in runs:
        if run.resumable:
            app.output.note(f"`{_resume(run)}` would go on with run {run.run_id}, also after a cleanup.")


def _tell_spared(app: App, spared: Iterable[str]) -> None:
    for one in spared:
        app.output.note(f"{one[:1].upper()}{one[1:]}.")


def _resume(run: RunFacts) -> str:
    return f"maestro resume --run-id {run.run_id}"


def _summary(orphans: Sequence[Orphan]) -> str:
    """`2 processes and 1 branch`."""
    kinds = Counter(one.kind.value for one in orphans)
    parts = [f"{number} {_plural(kind.replace('_', ' '), number)}" for kind, number in kinds.items()]
    verb = "is" if len(orphans) == 1 else "are"
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{listed} {verb}"


def _plural(kind: str, number: int) -> str:
    if number == 1:
        return {"tracker": "task in the tracker", "temporary": "temporary file"}.get(kind, kind)
    odd = {"tracker": "tasks in the tracker", "temporary": "temporary files", "half removed": "half removed"}
    return odd.get(kind, f"{kind}{'es' if kind.endswith(('s', 'ch')) else 's'}")


def _entry(one: Orphan) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "what": one.what,
        "reason": one.reason,
        "cause": one.cause.value,
        "run_id": one.run_id or None,
        "task": one.task,
        "place": one.place,
        "pid": one.pid,
        "size_bytes": one.size_bytes,
        "why_it_stays": one.stays or None,
    }


def _cleared_entry(one: Cleared) -> dict[str, Any]:
    stays = {"why_it_stays": one.why or None}
    return {**_entry(one.orphan), **stays, "done": one.done, "failed": one.failed, "saved_ref": one.saved_ref}


def _object(
    scene: Scene,
    dry_run: bool,
    entries: list[dict[str, Any]],
    runs: Iterable[RunFacts],
    by_cause: dict[str, int],
    problems: Sequence[str],
    spared: Sequence[str],
) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "repository": str(scene.layout.repository),
        "orphans": entries,
        "counts": by_cause,
        "runs": [
            {
                "run_id": run.run_id,
                "standing": run.standing.value,
                "resume": _resume(run) if run.resumable else None,
            }
            for run in runs
        ],
        "spared": list(spared),
        "problems": list(problems),
    }

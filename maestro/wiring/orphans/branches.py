"""Task branches that dead runs left. Integration branches are never touched, nor what is checked out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from maestro.vcs.parse import parse_worktrees
from maestro.wiring.orphans.kinds import Cleared, Kind, Orphan, done, failed
from maestro.wiring.orphans.scene import RunFacts, Scene, Standing
from maestro.wiring.orphans.words import cause_of, of_run
from maestro.wiring.orphans.workspaces import Workspaces
from maestro.workspaces.base import GATE_BENCH
from maestro.workspaces.janitor import branches_of, prune_branches
from maestro.workspaces.saving import save_commit


class Branches:
    """`maestro/<run>/<task>`; a commit that is nowhere else is saved first."""

    def runs(self, scene: Scene) -> Iterable[str]:
        """Of runs that are known here: a name alone does not make a branch maestro's."""
        refs = scene.git.text("for-each-ref", "--format=%(refname)", "refs/heads/maestro/").splitlines()
        named = {parts[3] for ref in refs if len(parts := ref.split("/")) > 4}
        return named & set(scene.known_runs())

    def find(self, scene: Scene, run: RunFacts) -> list[Orphan]:
        if run.standing is Standing.ENDED:
            return []  # `maestro clean` is for those
        if run.standing is Standing.GONE and run.run_id not in scene.ours:
            return []  # another repository's run of that name, and somebody's branch
        kept = set(prune_branches(scene.git, run.run_id, dry_run=True))
        leaving = {one.place for one in Workspaces().find(scene, run) if not one.stays}
        away = self._out_of_reach(scene)
        return [
            _orphan(run, ref, is_kept=ref in kept, away=away.get(ref))
            for ref, place in self._with_places(scene, run).items()
            if place is None or place in leaving
        ]

    def clear(self, scene: Scene, run: RunFacts) -> list[Cleared]:
        found = self.find(scene, run)
        gone = set(prune_branches(scene.git, run.run_id))  # also lets git forget worktrees that are half gone
        tips = branches_of(scene.git, run.run_id)
        loose = [one for one in found if one.place in tips and not one.stays]
        for one in loose:
            save_commit(scene.git, run.run_id, _task_name(one.place), tips[one.place])
        gone |= set(prune_branches(scene.git, run.run_id)) if loose else set()
        left = [one for one in found if one.place not in gone and one.place in branches_of(scene.git, run.run_id)]
        return done(one for one in found if one not in left) + failed(left, "it is checked out")

    def _with_places(self, scene: Scene, run: RunFacts) -> dict[str, str | None]:
        """ref → the workspace in which it is checked out; None where it is nowhere. Those that are checked out
        elsewhere are somebody's."""
        listed = parse_worktrees(scene.git.run("worktree", "list", "--porcelain", "-z").stdout)
        out = {entry.branch: entry.path for entry in listed if entry.branch is not None and Path(entry.path).exists()}
        return {ref: str(Path(out[ref]).parent) if ref in out else None for ref in branches_of(scene.git, run.run_id)}

    def _out_of_reach(self, scene: Scene) -> dict[str, str]:
        """ref → the workspace in which git knows it to be, where the whole folder of its run is missing."""
        listed = parse_worktrees(scene.git.run("worktree", "list", "--porcelain", "-z").stdout)
        return {one.branch: one.path for one in listed if one.branch and not Path(one.path).parent.parent.is_dir()}


def _orphan(run: RunFacts, ref: str, *, is_kept: bool, away: str | None) -> Orphan:
    name = _task_name(ref)
    why = "its commits are kept elsewhere" if is_kept or name == GATE_BENCH else "its commits are saved first"
    return Orphan(
        kind=Kind.BRANCH,
        what=f"branch {ref.removeprefix('refs/heads/')}",
        reason=f"made for a task {of_run(run)}; {why}",
        cause=cause_of(run),
        run_id=run.run_id,
        task=run.names.get(name),
        place=ref,
        stays=f"it is checked out in {away}, whose disk is not there; else `git worktree prune` forgets it"
        if away
        else "",
    )


def _task_name(ref: str) -> str:
    return ref.split("/", 4)[4]

"""The place where gates run: one workspace of its own, moved from candidate to candidate (M-4)."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from pathlib import Path

from maestro.agents.base import Invocation
from maestro.engine.context import RunContext
from maestro.engine.environment import allowed_environment
from maestro.engine.gateturn import GateTurn
from maestro.engine.hiding import hide_secrets_in
from maestro.engine.providing import give_back, provide
from maestro.engine.watch import tail_of
from maestro.errors import GitError, MaestroError
from maestro.executors.base import Running, Starter
from maestro.integration.gate import Gate
from maestro.integration.gates import run_gate
from maestro.model.gate import GateResult, GateUnjudged, NotJudged
from maestro.model.masking import masked
from maestro.proc.request import MARKER, ProcessRequest
from maestro.proc.roles import GATE
from maestro.resources.base import Need, Provided
from maestro.store.machine import VARIABLE as MACHINE_DIR
from maestro.store.machine import machine_path
from maestro.vcs.git import COMPARES_ALL, Git
from maestro.vcs.planted import remove_links
from maestro.workspaces.base import GATE_BENCH, Workspace, WorkspaceSpec

_WHOLE = {
    "core.sparseCheckout": "false",
    "core.sparseCheckoutCone": "false",
    "index.sparse": "false",
    **COMPARES_ALL,
}
"""A commit is judged by all of its files as they are in it, whatever the user chose for the checkout, or tests for the
bench."""


class _Remembering:
    """An executor that knows the last child it started, so that a gate can be stopped from outside, and starts each as
    the bench is provided for."""

    def __init__(self, executor: Starter) -> None:
        self._executor = executor
        self.provided = Provided()
        self.last: Running | None = None

    async def start(self, request: ProcessRequest) -> Running:
        self.last = await self._executor.start(self.provided.wrap(request))
        return self.last


class GateBench:
    """Judges commits, one at a time."""

    def __init__(self, context: RunContext, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._workspace: Workspace | None = None
        self._numbers = count(1)
        self._lock = asyncio.Lock()
        self._executor = _Remembering(context.executor)
        self._turn = GateTurn(context, gate.timeout_seconds)
        self._stopped = ""

    async def stop(self, reason: str) -> None:
        """End the gate under way; from now on nothing is judged."""
        self._stopped = reason
        await self._turn.stop()
        if self._executor.last is not None:
            await self._executor.last.stop(reason)

    async def judge(self, commit: str, tasks: tuple[str, ...]) -> GateResult:
        """Check the commit out on the bench and run the gate there."""
        del tasks  # the bench does not care whose work it is
        async with self._lock:
            try:
                workspace = await self._at(commit)
            except (MaestroError, OSError) as error:
                return GateUnjudged(why=NotJudged.SETUP, reason=f"the gate's workspace could not be made: {error}")
            if self._stopped:
                return self._stop_result()
            if isinstance(workspace, GateUnjudged):
                return workspace
            number = next(self._numbers)
            log_dir = self._context.layout.gate(self._context.run_id, number)
            log_dir.mkdir(parents=True, exist_ok=True)
            result = await self._test(workspace, log_dir, self._context.marker(GATE, str(number)))
            await hide_secrets_in(self._context, log_dir)
            return self._stop_result() if self._stopped else masked(result, self._context.redactor.mask)

    async def _test(self, workspace: Workspace, log_dir: Path, marker: str) -> GateResult:
        """Run the gate when it is its turn; the wait is no part of its time."""
        try:
            lock = await self._turn.take(marker)
        except MaestroError as error:
            return GateUnjudged(why=NotJudged.SETUP, reason=f"the resource tests cannot be had: {error.message}")
        try:
            if self._stopped:
                return self._stop_result()
            env = self._environment(workspace, marker) | (lock.variables if lock is not None else {})
            return await run_gate(self._gate, workspace.repo, env, log_dir, self._executor, marker)
        finally:
            if lock is not None:
                lock.release()

    def _stop_result(self) -> GateUnjudged:
        return GateUnjudged(why=NotJudged.STOPPED, reason=self._stopped)

    async def _at(self, commit: str) -> Workspace | GateUnjudged:
        """The bench at a commit; a bench that a test run broke is made anew."""
        if self._stopped:
            return self._stop_result()
        if self._workspace is not None:
            try:
                await asyncio.to_thread(self._move, self._workspace, commit)
                return self._workspace
            except (GitError, OSError):
                await self.close()
        run_id = self._context.run_id
        spec = WorkspaceSpec(
            run_id=run_id,
            task_id=GATE_BENCH,
            task_name=GATE_BENCH,
            attempt=1,
            base=commit,
            branch=f"maestro/{run_id}/{GATE_BENCH}",
        )
        self._workspace = await asyncio.to_thread(self._context.gate_workspaces.create, spec)
        try:
            if provisions := self._context.provisions:
                self._executor.provided = await asyncio.to_thread(provide, provisions, self._need(self._workspace))
            failed = await self._set_up(self._workspace)
            await hide_secrets_in(self._context, self._context.layout.gate(run_id, 0))
        except (MaestroError, OSError):
            await self.close()  # or the next commit would be judged without what the set-up brings
            raise
        if failed is not None:
            await self.close()
            return masked(failed, self._context.redactor.mask)
        return self._workspace

    def _move(self, workspace: Workspace, commit: str) -> None:
        """Put the bench on another commit; ignored files (dependencies, caches) stay, all else is gone."""
        # what the set-up brought in and what is to be kept is ignored, too
        config = {"core.excludesFile": str(workspace.excludes), **_WHOLE}
        git = self._context.git.at(workspace.repo, config=config)
        _remove_planted(self._context.git, workspace.repo)
        _unhide(git)
        self._context.gate_workspaces.reveal(workspace)
        git.run("checkout", "-q", "--force", "--detach", commit)
        git.run("clean", "-ffdq")

    async def _set_up(self, workspace: Workspace) -> GateUnjudged | None:
        context = self._context
        log_dir = context.layout.gate(context.run_id, 0)
        log_dir.mkdir(parents=True, exist_ok=True)
        for number, command in enumerate(context.options.setup_commands):
            marker = context.marker(GATE, f"setup-{number}")
            request = ProcessRequest(
                argv=Invocation(argv=("sh", "-c", command)).argv,
                cwd=workspace.repo,
                env=self._environment(workspace, marker),
                stdout_file=log_dir / "setup.log",
                stderr_file=log_dir / "setup.log",
                exit_file=log_dir / f"setup-{number}.exit",
            )
            if self._stopped:
                return self._stop_result()
            running = await self._executor.start(request)
            try:
                ended = await asyncio.wait_for(running.wait(), context.options.setup_timeout_seconds)
                await running.sweep()
                reason = f"ended with exit code {ended.code}" if ended.code != 0 else None
            except TimeoutError:
                await running.stop("setup ran over its limit")
                reason = f"did not end within {context.options.setup_timeout_seconds:g} s"
            if reason is not None:
                tail = tail_of(log_dir / "setup.log", redactor=self._context.redactor)
                return GateUnjudged(why=NotJudged.SETUP, reason=f"setup command {command!r} {reason}", output_tail=tail)
        return None

    def _environment(self, workspace: Workspace, marker: str) -> dict[str, str]:
        allowed = allowed_environment(self._context.environ, self._context.env_allow)
        locks = self._context.locks
        ours = {
            **(locks.variables if locks is not None else {}),
            "MAESTRO_RUN_ID": self._context.run_id,
            MACHINE_DIR: str(machine_path(self._context.environ)),
            MARKER: marker,
        }
        return {**allowed, **self._executor.provided.env, **workspace.env, **ours}

    def _need(self, workspace: Workspace) -> Need:
        marker = self._context.marker(GATE)
        name = f"gate-{self._context.run_id}"  # or the gates of two runs would share a database
        return Need(task_id=name, marker=marker, home=workspace.home, repo=workspace.repo, agent=None)

    async def close(self) -> None:
        """Remove the bench; nothing on it is anybody's work."""
        workspace, self._workspace = self._workspace, None
        if workspace is None:
            return
        if provisions := self._context.provisions:
            await asyncio.to_thread(give_back, provisions, self._need(workspace))
        try:
            await asyncio.to_thread(self._context.gate_workspaces.remove, workspace)
            branch = f"refs/heads/{workspace.branch}"
            await asyncio.to_thread(self._context.git.run, "update-ref", "-d", branch)
        except (GitError, MaestroError, OSError):
            return  # the janitor knows the folder by its marker file


def _remove_planted(git: Git, repo: Path) -> None:
    """What tests left in the bench's git directory, which git would follow now. GitError where it is another one."""
    marker = repo / ".git"
    if marker.is_symlink() or not marker.is_file():
        raise GitError(f"{marker} was replaced")
    linked = repo / os.fsdecode(marker.read_bytes().removeprefix(b"gitdir: ").rstrip(b"\n"))
    if linked.resolve().parent != git.common_dir().resolve() / "worktrees":
        raise GitError(f"{marker} leads to {linked}")
    remove_links(linked)


def _unhide(git: Git) -> None:
    """Let git look at all files again: it passes over those that tests marked skip-worktree, also with --force."""
    listed = git.run("ls-files", "-v", "-z").stdout.split(b"\0")
    hidden = b"".join(line[2:] + b"\0" for line in listed if line[:1] in (b"S", b"s"))
    if hidden:
        git.run("update-index", "--no-skip-worktree", "-z", "--stdin", stdin=hidden)

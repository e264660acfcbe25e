"""The second yardstick: git's own work for T tasks, driven by asyncio and nothing else (no journal, plan or tracker).

`python bare_asyncio.py TASKS PARALLEL WORKSPACES AGENT`, in the repository. Each task: a worktree without files
(under a lock: git 2.39 fails now and then when worktrees are added or removed at once), the checkout, the agent,
a look at what it left, the landing by plumbing, and the removal.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

REPOSITORY = Path.cwd()
INTEGRATION = "refs/heads/integration"


async def git(*args: str, cwd: Path = REPOSITORY) -> str:
    """Output of a git command; raises where it fails."""
    process = await asyncio.create_subprocess_exec("git", *args, cwd=cwd, stdin=DEVNULL, stdout=PIPE)
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"git {args[0]} ended with {process.returncode}")
    return output.decode().strip()


class Driver:
    """One run."""

    def __init__(self, parallel: int, workspaces: Path, agent: str, base: str) -> None:
        self.slots = asyncio.Semaphore(parallel)
        self.worktrees = asyncio.Lock()
        self.landing = asyncio.Lock()
        self.workspaces = workspaces
        self.agent = agent
        self.base = base
        self.tip = base

    async def task(self, number: int) -> None:
        """One task from its workspace to the integration branch."""
        async with self.slots:
            workspace = self.workspaces / f"task-{number}"
            branch = f"task-{number}"
            async with self.worktrees:
                await git("worktree", "add", "-q", "--no-checkout", "-b", branch, str(workspace), self.base)
            await git("checkout", "-q", "-f", branch, cwd=workspace)
            await self.run_agent(number, workspace)
            if await git("status", "--porcelain", "-z", cwd=workspace):
                raise RuntimeError(f"task {number} left uncommitted work")
            commit = await git("rev-parse", "HEAD", cwd=workspace)
            async with self.landing:
                await self.land(number, commit)
            async with self.worktrees:
                await git("worktree", "remove", "--force", str(workspace))

    async def run_agent(self, number: int, workspace: Path) -> None:
        """The agent, in the workspace."""
        env = {**os.environ, "MAESTRO_TASK_ID": str(number)}
        process = await asyncio.create_subprocess_exec("sh", self.agent, cwd=workspace, env=env, stdin=DEVNULL)
        if await process.wait() != 0:
            raise RuntimeError(f"the agent of task {number} failed")

    async def land(self, number: int, commit: str) -> None:
        """Merge without a checkout, by compare-and-swap."""
        tree = await git("merge-tree", "--write-tree", self.tip, commit)
        merged = await git("commit-tree", tree, "-p", self.tip, "-p", commit, "-m", f"Land task {number}")
        await git("update-ref", INTEGRATION, merged, self.tip)
        self.tip = merged


async def main(tasks: int, parallel: int, workspaces: Path, agent: str) -> None:
    """All tasks; the first error ends the run."""
    base = await git("rev-parse", "main")
    await git("update-ref", INTEGRATION, base, "")
    driver = Driver(parallel, workspaces, agent, base)
    async with asyncio.TaskGroup() as group:
        for number in range(1, tasks + 1):
            group.create_task(driver.task(number))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))

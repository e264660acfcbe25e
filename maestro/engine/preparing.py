"""What an attempt is started with: its prompt, its command line and its environment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from maestro.agents.base import Invocation, Job
from maestro.engine.context import Brief, RunContext
from maestro.engine.environment import allowed_environment
from maestro.errors import MaestroError
from maestro.model.budget import Kind
from maestro.model.note import Note, notes_for
from maestro.proc.request import MARKER, ProcessRequest
from maestro.resources.base import Need, Provided
from maestro.store.board import read_board
from maestro.store.machine import VARIABLE as MACHINE_DIR
from maestro.store.machine import machine_path
from maestro.store.masking import write_privately
from maestro.trackers.base import ReadOnlyForAgents
from maestro.workspaces.base import Workspace

log = logging.getLogger(__name__)


class Outfit(NamedTuple):
    """One attempt, as its children are to be started."""

    context: RunContext
    brief: Brief
    number: int
    attempt_id: str  # the marker of its processes
    directory: Path  # its logs
    provided: Provided = Provided()  # beside its workspace, once it has one

    @property
    def task(self) -> str:
        """The task's id."""
        return self.brief.task.id

    def need(self, workspace: Workspace) -> Need:
        """Who is to be provided for."""
        agent = self.brief.chosen.agent.name
        return Need(task_id=self.task, marker=self.attempt_id, home=workspace.home, repo=workspace.repo, agent=agent)

    def prepare(self, workspace: Workspace) -> Invocation:
        """Write the prompt beside the workspace, where a sandboxed agent may read it, and a copy beside the logs."""
        hide = self.context.redactor.mask_known  # a task may speak of what keys look like
        prompt = hide(self.context.compose(self.brief._replace(notes=self._notes_of_others())))
        state = workspace.home / ".agent-state"
        state.mkdir(exist_ok=True)
        report_file(workspace).unlink(missing_ok=True)
        prompt_file = state / "prompt.md"
        for file in (prompt_file, self.directory / "prompt.md"):
            write_privately(file, prompt)
        chosen = self.brief.chosen
        job = Job(
            task_id=self.task,
            prompt=prompt,
            prompt_file=prompt_file,
            workspace=workspace.repo,
            state_dir=state,
            client_config=workspace.home / "client-config.json",
            budget_usd=self.context.options.budgets.get(Kind.ATTEMPT_USD),
            base_url=self.context.keys.base_url() if self.context.keys is not None else None,
            resume_session=self.brief.session,
            subagent=chosen.subagent,
            run_id=self.context.run_id,
            name=self.context.names[self.task],
            attempt=self.number,
            attempt_id=self.attempt_id,
            title=hide(self.brief.task.title),
            wanted_subagent=self.brief.task.subagent_type,
            why=chosen.why,
            report_file=report_file(workspace),
        )
        return self._with_key(chosen.agent.invocation(job))

    def _with_key(self, invocation: Invocation) -> Invocation:
        """Only the agent gets a key, and no set-up of its workspace does."""
        if self.context.keys is None:
            return invocation
        return invocation.evolve(env={**invocation.env, **self.context.keys.environment(self.attempt_id)})

    def request(
        self, invocation: Invocation, workspace: Workspace, stdout: Path, stderr: Path, exit_file: Path
    ) -> ProcessRequest:
        """A child of this attempt in its workspace; what an earlier one left as exit status is gone."""
        exit_file.unlink(missing_ok=True)
        names = (*self.context.env_allow, *self.brief.chosen.agent.env_names())
        request = ProcessRequest(
            argv=invocation.argv,
            cwd=workspace.repo,
            env={
                **self._tracker_env(),  # weakest: who names these variables in env_allow wants otherwise
                **allowed_environment(self.context.environ, names),
                **self.provided.env,
                **self.brief.variables,
                **workspace.env,
                **invocation.env,
                **self._variables(workspace),
            },
            stdin_file=invocation.stdin_file,
            stdout_file=stdout,
            stderr_file=stderr,
            exit_file=exit_file,
        )
        return self.provided.wrap(request)

    def _notes_of_others(self) -> tuple[Note, ...]:
        """What the board of the run has for this task; a board that cannot be read is no reason not to work."""
        try:
            return notes_for(self.task, read_board(self.context.layout.board(self.context.run_id)))
        except MaestroError as error:
            log.warning("task %s starts without notes: %s", self.task, error.message)
            return ()

    def _tracker_env(self) -> Mapping[str, str]:
        tracker = self.context.tracker
        return tracker.agent_env() if isinstance(tracker, ReadOnlyForAgents) else {}

    def _variables(self, workspace: Workspace) -> Mapping[str, str]:
        """The variables every agent gets (A-2)."""
        return {
            "MAESTRO_REPOSITORY": str(self.context.git.directory),
            "MAESTRO_RUN_ID": self.context.run_id,
            "MAESTRO_TASK_ID": self.task,
            MARKER: self.attempt_id,
            "MAESTRO_WORKSPACE_DIR": str(workspace.repo),
            "MAESTRO_PROMPT_FILE": str(workspace.home / ".agent-state" / "prompt.md"),
            "MAESTRO_REPORT_FILE": str(report_file(workspace)),
            MACHINE_DIR: str(machine_path(self.context.environ)),
        }


def report_file(workspace: Workspace) -> Path:
    """Where the agent reports how it went."""
    return workspace.home / ".agent-state" / "report.json"

"""Attempts done by subagents of the user's own Claude Code session (C-3, delegate mode).

Nothing here starts a model. An attempt is offered: a file says what is to be done where, and the attempt's process
is a shell of a few lines that waits at a doorbell until the subagent's report is there. So everything around it
(clocks, stop ladder, evidence, landing) is the same as for agents that maestro starts itself. `maestro delegate`
gives offers out, `maestro report` takes the reports.

The subagents themselves are processes of the session: maestro neither knows nor signals them.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from maestro.agents.base import Availability, Claim, Heard, Invocation, Job, Told, Verdict
from maestro.agents.command import explain_exit
from maestro.clock import Clock, SystemClock
from maestro.model.offer import DELEGATE, Offer, task_line
from maestro.model.record import Record
from maestro.proc.family import ProcessId
from maestro.proc.ourselves import own_command
from maestro.store.offers import Offers

GENERAL_PURPOSE = "general-purpose"
"""The subagent that every session has."""

# The doorbell is opened before the report is looked for, so that one that comes in between is not missed; opened for
# reading and writing, it never ends. Whoever rings without a report is not listened to.
_WAITER = 'exec 3<>"$1" || exit 1\nwhile [ ! -e "$2" ]; do read -r _ <&3 || exit 1; done'

_DESCRIPTION_LENGTH = 60

_FINISH = """\
## Where to work and how to finish

1. Work only in `{workspace}`, a checkout of your own on a branch of its own; stay on that branch. Every path you write
   to starts with it, and every Bash command starts with `cd {quoted} && `.{elsewhere}
2. Commit your work there (`git add`, `git commit`), with a message that says what and why. Do not push.
3. Your last act is this command, with your own words as the summary; without it nobody knows that you are done. It is
   not called from your checkout, which is gone as soon as the work has landed:

```
{report} --status done --summary "what you did"
```

The status is `done`, `failed`, `blocked` (you cannot go on without a person: say what you need) or `no_change` (the
task needs no change: say why). Say how sure you are with `--confidence 0.9`, what the next one should know with
`--note "…"`, and work that you came across and left alone with `--discovered '{{"title": "…", "description": "…"}}'`.
Do not report `done` for work that is not committed or that you have not tried. The backlog itself is not yours to
change (no `bd close`, no ticked boxes): the task is closed there once your work has landed.

What tasks that start later must know before yours has landed (a name you chose, a trap), say at once with
`{note} "…"`; with `--to TASK` it is for that one only.
"""


class DelegateOptions(Record):
    """`subagents` are the types that the session has, where that is known; the rest is set for each run."""

    subagents: tuple[str, ...] | None = None
    folder: Path | None = None  # where offers are made; None: beside each prompt
    repository: Path | None = None  # the user's
    command: str | None = None  # how a shell of the session starts maestro
    session: ProcessId | None = None  # the session's process, where it is known


class DelegateAgent:
    """Offers attempts to a session and waits for their reports."""

    name = DELEGATE
    account = DELEGATE
    streams = False
    resumes = False
    tells: frozenset[Told] = frozenset()
    bounds: frozenset[Told] = frozenset()

    def __init__(self, options: DelegateOptions, clock: Clock | None = None) -> None:
        self.subagents = options.subagents
        self.session = options.session
        self._folder = options.folder
        self._repository = options.repository
        self._command = options.command or own_command(os.environ)
        self._clock = clock or SystemClock()

    def availability(self, env: Mapping[str, str]) -> Availability:  # noqa: ARG002 - needs nothing of it
        """Always: whether there is a session shows when nobody takes an offer."""
        return Availability(available=True, detail="subagents of your own session, by `maestro delegate`")

    def env_names(self) -> tuple[str, ...]:
        """None: the subagents have the session's environment."""
        return ()

    def invocation(self, job: Job) -> Invocation:
        """Offer the attempt, and wait for its report. The offer is there before the waiter is: it misses nothing."""
        doorbell = job.state_dir / "doorbell"
        with suppress(FileNotFoundError):
            doorbell.unlink()
        os.mkfifo(doorbell, 0o600)
        report_file = job.report_file or job.state_dir / "report.json"
        offers = Offers(self._folder or job.state_dir / "delegate")
        offers.open()
        offers.add(self._offer(job, doorbell, report_file))
        return Invocation(argv=("/bin/sh", "-c", _WAITER, "maestro-waiter", str(doorbell), str(report_file)))

    def reader(self) -> DelegateReader:
        """A reader of a waiter, which says nothing."""
        return DelegateReader()

    def _offer(self, job: Job, doorbell: Path, report_file: Path) -> Offer:
        return Offer(
            run_id=job.run_id,
            task=job.task_id,
            name=job.name or "task",
            attempt=job.attempt,
            attempt_id=job.attempt_id,
            title=job.title,
            subagent_type=job.subagent or GENERAL_PURPOSE,
            wanted_subagent=job.wanted_subagent,
            why=job.why,
            description=_description(job),
            prompt=self._prompt(job),
            workspace=job.workspace,
            report_file=report_file,
            doorbell=doorbell,
            offered_at=self._clock.now(),
        )

    def _prompt(self, job: Job) -> str:
        finish = _FINISH.format(
            workspace=job.workspace,
            quoted=shlex.quote(str(job.workspace)),
            elsewhere=f" Do not touch `{self._repository}`." if job.workspace != self._repository else "",
            report=self._report_command(job),
            note=f"{self._maestro()} note --run-id {job.run_id} {_option('--from', job.task_id)}",
        )
        return f"{task_line(job.run_id, job.task_id, job.attempt)}\n\n{job.prompt.rstrip()}\n\n{finish}"

    def _report_command(self, job: Job) -> str:
        """Without its status: the attempt is named, for a subagent may still be at work when the next one begins."""
        task = _option("--task", job.task_id)
        command = f"{self._maestro()} report --run-id {job.run_id} {task} --attempt {job.attempt}"
        if self._repository is None:
            return command
        home = shlex.quote(str(self._repository))
        # Claude Code takes a plain `cd` to its own directory out of a command, wherever the shell is by then
        away = home if home.startswith("'") else f"'{home}'"
        return f"cd {away} && {command}"

    def _maestro(self) -> str:
        """How a shell of the session's starts maestro for this repository, wherever it stands."""
        return self._command if self._repository is None else f"{self._command} -C {shlex.quote(str(self._repository))}"


class DelegateReader:
    """The report says how it went; the waiter's exit only that there is one."""

    ended = False
    heard = Heard.NOTHING

    def feed(self, chunk: bytes) -> Sequence[str]:  # noqa: ARG002 - a waiter prints nothing
        """Nothing."""
        return ()

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        """Exit code 0: a report is there. Anything else happened to the waiter, not to the work."""
        if exit_code == 0:
            return Verdict(claim=Claim.DONE)
        reason = f"the process that waits for its report ended: {explain_exit(exit_code, stderr_tail)}"
        return Verdict(claim=Claim.FAILED, reason=reason, retryable=exit_code not in (126, 127))


def _option(name: str, value: str) -> str:
    """An option with its value for a shell, also where the value looks like an option itself."""
    return shlex.quote(f"{name}={value}") if value.startswith("-") else f"{name} {shlex.quote(value)}"


def _description(job: Job) -> str:
    text = " ".join(f"{job.task_id}: {job.title}".split() if job.title else job.task_id.split())
    return text if len(text) <= _DESCRIPTION_LENGTH else text[: _DESCRIPTION_LENGTH - 1] + "…"

"""What an engine knows to be secret is in nothing it records, tells the tracker or goes on with."""

from __future__ import annotations

import stat
from pathlib import Path

from maestro.model.outcome import Failed
from maestro.model.redaction import Redactor
from maestro.model.task import Progress, Task
from maestro.testing.memory_tracker import MemoryTracker
from maestro.testing.repository import Repository
from tests.integration.engine_runs import EngineRun, states

SECRET = "Pl4nted-secret"


def known_to(run: EngineRun) -> None:
    redactor = Redactor([SECRET])
    run.replace(redactor=redactor)
    run.recorder.hide(redactor)


def test_a_failure_is_told_without_it_to_the_next_prompt_and_to_the_tracker(repo: Repository, tmp_path: Path) -> None:
    tracker = MemoryTracker([Task(id="a", title=f"use {SECRET}", description=f"with {SECRET}")])
    long = "x" * 4090  # the tail that is kept begins within the secret
    says = f"""echo '{{"status": "failed", "summary": "no luck with {SECRET}"}}' > "$MAESTRO_REPORT_FILE"; """
    agent = f"{says} echo {SECRET}; printf '{SECRET}{long}' >&2; exit 3"
    run = EngineRun(repo, [], tmp_path / "ws", tracker=tracker, attempts=2, agent=agent)
    known_to(run)

    ended = run.go()

    assert states(ended) == {"a": "failed"}
    attempts = repo.path / ".flow/maestro/runs/r/attempts/a"
    prompts = [(attempts / number / "prompt.md").read_text() for number in "12"]
    assert all("with ***" in prompt and SECRET not in prompt for prompt in prompts)
    assert "no luck with ***" in prompts[1]
    outcome = ended.tasks["a"].attempts[0].outcome
    assert isinstance(outcome, Failed)
    assert outcome.output_tail.endswith("x" * 4000)
    assert "secret" not in outcome.output_tail
    assert (attempts / "1" / "stdout").read_text() == "***\n"
    assert SECRET not in (repo.path / ".flow/maestro/runs/r/journal.jsonl").read_text()
    assert [note.reason for _, progress, note in tracker.writes if progress is Progress.OPEN] == ["no luck with ***"]


def test_what_agents_print_is_for_the_user_alone(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, [Task(id="a")], tmp_path / "ws", setup=("echo set up",))

    run.go()

    runs = repo.path / ".flow/maestro/runs"
    folder = runs / "r/attempts/a/1"
    modes = {
        name: stat.S_IMODE((folder / name).stat().st_mode) for name in ("stdout", "stderr", "setup.log", "prompt.md")
    }
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(runs.stat().st_mode) == 0o700
    assert stat.S_IMODE((runs / "r/journal.jsonl").stat().st_mode) == 0o600

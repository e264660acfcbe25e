"""`maestro hook`: from the words of Claude Code to an answer, over the files of a delegate run."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from maestro.cli.hooks.marks import MARK, mark_of_subagent
from maestro.cli.hooks.staying import LIMIT
from maestro.model.offer import TASK_MARK, Offer, task_line
from maestro.model.report import Report
from maestro.store.layout import Layout
from maestro.store.offers import Offers, deliver
from maestro.testing.repository import Repository

RUN = "r1"
SESSION = "5e55"


@pytest.fixture
def offers(layout: Layout, alive: Callable[[str], None]) -> Offers:
    """A delegate run under way, held by the session."""
    alive(RUN)
    made = Offers(layout.delegate(RUN))
    made.open()
    hold(made, os.getpid(), SESSION)
    return made


def hold(offers: Offers, pid: int | None, session_id: str | None) -> None:
    offers.session_file.write_text(json.dumps({"pid": pid, "pid_started": None, "session_id": session_id}))


class Subagent:
    """One that works on a task: its offer, its workspace, its transcript."""

    def __init__(self, repo: Repository, offers: Offers, folder: Path, task: str, *, handed: bool = True) -> None:
        self.repo, self.folder, self.task = repo, folder, task
        self.workspace = folder / "ws" / f"task-{task}" / "project"
        repo.git("worktree", "add", "-q", "-b", f"maestro/{RUN}/{task}", str(self.workspace))
        self.report_file = folder / f"report-{task}.json"
        self.prompt = f"{task_line(RUN, task, 1)}\n\nDo it.\n\nmaestro report --run-id {RUN} --task {task}\n"
        self.offer = Offer(
            run_id=RUN, task=task, name=task, attempt=1, attempt_id=f"{RUN}/{task}/1", title=task,
            subagent_type="general-purpose", wanted_subagent=None, why="", description=task, prompt=self.prompt,
            workspace=self.workspace, report_file=self.report_file, doorbell=folder / "doorbell",
            offered_at=datetime.now(UTC),
        )  # fmt: skip
        offers.add(self.offer)
        if handed:
            assert offers.hand(self.offer)
        self.session = folder / "session.jsonl"
        transcript = folder / "session" / "subagents" / f"agent-{task}.jsonl"
        transcript.parent.mkdir(parents=True, exist_ok=True)
        record = {"type": "user", "message": {"role": "user", "content": self.prompt}}
        transcript.write_text(json.dumps(record) + "\n" + json.dumps({"type": "assistant"}) + "\n")

    def payload(self, event: str, **more: Any) -> str:
        body = {
            "session_id": SESSION, "transcript_path": str(self.session), "cwd": str(self.repo.path),
            "agent_id": self.task, "agent_type": "general-purpose", "hook_event_name": event,
        }  # fmt: skip
        return json.dumps({**body, **more})

    def report(self) -> Report:
        return Report.model_validate_json(self.report_file.read_bytes())

    def commit(self) -> None:
        (self.workspace / "a.txt").write_text("x")
        work = Repository(self.workspace)
        work.git("add", "-A")
        work.git("commit", "-q", "-m", "Work")


@pytest.fixture
def subagent(repo: Repository, offers: Offers, tmp_path: Path) -> Subagent:
    return Subagent(repo, offers, tmp_path, "a")


def test_the_mark_is_that_of_the_offers() -> None:
    assert MARK == TASK_MARK


def write(subagent: Subagent, path: Path) -> str:
    return subagent.payload("PreToolUse", tool_name="Write", tool_input={"file_path": str(path), "content": "x"})


def test_a_write_outside_of_the_workspace_is_denied_with_the_path_to_use(cli: Any, subagent: Subagent) -> None:
    said = cli("hook", "pre-tool-use", stdin=write(subagent, subagent.repo.path / "src" / "a.py"))
    decision = said.json()["hookSpecificOutput"]
    assert (said.code, decision["permissionDecision"]) == (0, "deny")
    assert f"write to {subagent.workspace}/src/a.py instead" in decision["permissionDecisionReason"]
    given = {"notebook_path": str(subagent.repo.path / "n.ipynb")}
    notebook = subagent.payload("PreToolUse", tool_name="NotebookEdit", tool_input=given)
    assert "n.ipynb instead" in cli("hook", "pre-tool-use", stdin=notebook).out
    bash = subagent.payload("PreToolUse", tool_name="Bash", tool_input={"command": "make"})
    assert "Start the command with" in cli("hook", "pre-tool-use", stdin=bash).out


def test_a_link_out_of_the_workspace_is_seen_through(cli: Any, subagent: Subagent) -> None:
    (subagent.workspace / "out").symlink_to(subagent.repo.path)
    assert "deny" in cli("hook", "pre-tool-use", stdin=write(subagent, subagent.workspace / "out" / "a.py")).out


def bash(subagent: Subagent, command: str) -> str:
    return subagent.payload("PreToolUse", tool_name="Bash", tool_input={"command": command})


def test_a_command_sees_no_way_round_by_links_and_relative_paths(
    cli: Any, subagent: Subagent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = subagent.workspace
    (work / "out").symlink_to(subagent.repo.path)
    (tmp_path / "link").symlink_to(subagent.repo.path)
    monkeypatch.setenv("HOME", str(tmp_path))
    up = os.path.relpath(subagent.repo.path, work)
    for command in (
        "echo x > out/a",
        f"rm {up}/a",
        f"cd {tmp_path}/link && make",
        "cd ~/link && make",
        "cd out && make",
    ):
        assert "deny" in cli("hook", "pre-tool-use", stdin=bash(subagent, f"cd {work} && {command}")).out, command
    assert cli("hook", "pre-tool-use", stdin=bash(subagent, f"cd {work} && make > log")).out == ""


def test_one_whose_attempt_is_over_writes_nowhere_any_more(
    cli: Any, subagent: Subagent, offers: Offers, layout: Layout, alive: Callable[[str], None]
) -> None:
    """Its workspace may be the next attempt's, of this run or a later one."""
    inside = (write(subagent, subagent.workspace / "a.py"), bash(subagent, f"cd {subagent.workspace} && make"))
    assert [cli("hook", "pre-tool-use", stdin=one).out for one in inside] == ["", ""]
    offers.end(subagent.offer.key)
    assert all("is over" in cli("hook", "pre-tool-use", stdin=one).out for one in inside)
    (offers.folder / "ended" / subagent.offer.key).unlink()
    (layout.locks / "live" / f"{RUN}.json").unlink()
    alive("r2")
    Offers(layout.delegate("r2")).open()
    assert all("is over" in cli("hook", "pre-tool-use", stdin=one).out for one in inside)


def test_a_write_in_the_workspace_and_whatever_others_do_is_let_through(cli: Any, subagent: Subagent) -> None:
    inside = write(subagent, subagent.workspace / "a.py")
    users = json.loads(write(subagent, subagent.repo.path / "a.py"))
    session = {**users, "agent_id": None}
    transcript = subagent.folder / "session" / "subagents" / "agent-other.jsonl"
    transcript.write_text(json.dumps({"message": {"content": [{"type": "text", "text": "Look around."}]}}) + "\n")
    other = {**users, "agent_id": "other"}
    for payload in (inside, json.dumps(session), json.dumps(other)):
        said = cli("hook", "pre-tool-use", stdin=payload)
        assert (said.code, said.out, said.err) == (0, "", "")


def test_the_first_hook_of_a_subagent_waits_for_its_transcript(subagent: Subagent) -> None:
    payload = json.loads(write(subagent, subagent.workspace))
    assert mark_of_subagent(payload, 0) == task_line(RUN, "a", 1)
    assert mark_of_subagent({**payload, "agent_id": "late"}, 0) is None
    whole = subagent.folder / "session" / "subagents" / "agent-a.jsonl"
    torn = whole.with_name("agent-torn.jsonl")
    torn.write_text(whole.read_text().splitlines()[0])
    assert mark_of_subagent({**payload, "agent_id": "torn"}, 0.02) is None


def test_hooks_are_silent_where_no_delegate_run_is_alive(cli: Any, subagent: Subagent, layout: Layout) -> None:
    payload = json.loads(write(subagent, subagent.repo.path / "a.py"))
    (layout.locks / "live" / f"{RUN}.json").unlink()
    for name in ("pre-tool-use", "subagent-stop", "stop"):
        said = cli("hook", name, stdin=json.dumps(payload))
        assert (said.code, said.out, said.err) == (0, "", "")
    assert not subagent.report_file.exists()


def test_the_repository_is_found_from_below_and_from_the_sessions_project(
    cli: Any, subagent: Subagent, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = subagent.repo.path / "src"
    below.mkdir()
    payload = json.loads(write(subagent, subagent.repo.path / "a.py"))
    assert "deny" in cli("hook", "pre-tool-use", stdin=json.dumps({**payload, "cwd": str(below)})).out
    elsewhere = json.dumps({**payload, "cwd": str(subagent.folder)})
    assert cli("hook", "pre-tool-use", stdin=elsewhere).out == ""
    monkeypatch.setenv("CLAUDE_PROJECT_DIR", str(subagent.repo.path))
    assert "deny" in cli("hook", "pre-tool-use", stdin=elsewhere).out


def test_a_subagent_that_forgot_to_report_is_reported_with_its_last_words(cli: Any, subagent: Subagent) -> None:
    subagent.commit()
    said = cli("hook", "subagent-stop", stdin=subagent.payload("SubagentStop", last_assistant_message="Made a."))
    assert (said.code, said.out) == (0, "")
    assert (subagent.report().status, subagent.report().summary) == ("done", "Made a.")


def test_uncommitted_work_is_work(cli: Any, subagent: Subagent) -> None:
    (subagent.workspace / "new.txt").write_text("x")
    cli("hook", "subagent-stop", stdin=subagent.payload("SubagentStop", last_assistant_message="Made it."))
    assert subagent.report().status == "done"


def test_one_without_work_is_sent_back_once_and_then_has_failed(cli: Any, subagent: Subagent) -> None:
    first = subagent.payload("SubagentStop", last_assistant_message="Done!", stop_hook_active=False)
    said = cli("hook", "subagent-stop", stdin=first).json()
    assert said["decision"] == "block"
    assert f"`maestro report --run-id {RUN} --task a`" in said["reason"]
    assert not subagent.report_file.exists()
    again = subagent.payload("SubagentStop", last_assistant_message="Done!", stop_hook_active=True)
    assert cli("hook", "subagent-stop", stdin=again).out == ""
    assert subagent.report().status == "failed"
    assert "without a report and without work" in subagent.report().summary


def test_a_session_that_never_says_it_was_sent_back_is_not_sent_back_for_ever(cli: Any, subagent: Subagent) -> None:
    stop = subagent.payload("SubagentStop", last_assistant_message="Done!", stop_hook_active=False)
    said = [cli("hook", "subagent-stop", stdin=stop).out for _ in range(4)]
    assert said[-1] == ""
    assert subagent.report().status == "failed"


def test_a_subagent_that_broke_off_has_failed(cli: Any, subagent: Subagent) -> None:
    broken = subagent.payload("StopFailure", error="unknown", last_assistant_message="API Error: 400 odd")
    cli("hook", "subagent-stop", stdin=broken)
    assert subagent.report().summary == "the subagent broke off: API Error: 400 odd"


@pytest.mark.parametrize("response", [{"status": "completed", "content": [{"type": "text", "text": "Bye."}]}, None])
def test_the_end_of_the_tool_that_launched_it_is_the_last_chance(
    cli: Any, subagent: Subagent, response: dict[str, Any] | None
) -> None:
    body = json.loads(subagent.payload("PostToolUse", tool_name="Agent", tool_input={"prompt": subagent.prompt}))
    del body["agent_id"]
    launched = {**body, "tool_response": {"status": "async_launched"}}
    cli("hook", "subagent-stop", stdin=json.dumps(launched))
    assert not subagent.report_file.exists(), "it works in the background"
    ended = {**body, "tool_response": response} if response else {**body, "hook_event_name": "PostToolUseFailure"}
    subagent.commit()  # half of its work, for all that is known
    assert cli("hook", "subagent-stop", stdin=json.dumps(ended)).out == ""
    assert subagent.report().status == "failed"
    assert subagent.report().summary == f"the subagent broke off: {'Bye.' if response else 'an error'}"


def test_a_report_that_is_there_and_an_attempt_that_is_over_are_left_alone(
    cli: Any, subagent: Subagent, offers: Offers, repo: Repository, tmp_path: Path
) -> None:
    deliver(subagent.offer, Report(status="blocked", summary="no key"))
    cli("hook", "subagent-stop", stdin=subagent.payload("SubagentStop", last_assistant_message="Done!"))
    assert subagent.report().status == "blocked"
    over = Subagent(repo, offers, tmp_path, "b")
    offers.end(over.offer.key)
    assert cli("hook", "subagent-stop", stdin=over.payload("SubagentStop")).out == ""
    assert not over.report_file.exists()


def stop(subagent: Subagent, **more: Any) -> str:
    body = json.loads(subagent.payload("Stop"))
    del body["agent_id"]
    return json.dumps({**body, **more})


def test_a_session_is_kept_while_tasks_wait_and_let_go_when_nothing_moves(
    cli: Any, subagent: Subagent, offers: Offers, repo: Repository, tmp_path: Path
) -> None:
    Subagent(repo, offers, tmp_path, "b", handed=False)
    said = cli("hook", "stop", stdin=stop(subagent)).json()
    assert said["decision"] == "block"
    assert "Ready to be launched: b." in said["reason"]
    assert "Not reported yet: a." in said["reason"]
    for _ in range(LIMIT - 1):
        assert cli("hook", "stop", stdin=stop(subagent)).out
    assert cli("hook", "stop", stdin=stop(subagent)).out == ""
    deliver(subagent.offer, Report(status="done"))
    assert "landed: a." in cli("hook", "stop", stdin=stop(subagent)).json()["reason"]


def test_another_session_is_never_kept(cli: Any, subagent: Subagent) -> None:
    assert cli("hook", "stop", stdin=stop(subagent, session_id="another")).out == ""


def test_a_run_started_outside_of_a_session_keeps_the_one_it_descends_from(
    cli: Any, subagent: Subagent, offers: Offers
) -> None:
    hold(offers, os.getppid(), None)
    assert "block" in cli("hook", "stop", stdin=stop(subagent)).out
    hold(offers, None, None)
    assert cli("hook", "stop", stdin=stop(subagent)).out == ""


@pytest.mark.parametrize("stdin", ["", "no json", '{"cwd": 3, "agent_id": [], "tool_input": 7}', "[]", '{"cwd": null}'])
@pytest.mark.parametrize("name", ["pre-tool-use", "subagent-stop", "stop"])
def test_a_hook_is_never_in_the_way(cli: Any, offers: Offers, name: str, stdin: str) -> None:
    said = cli("hook", name, stdin=stdin)
    assert said.out == ""
    assert said.code in (0, 1), "2 would be taken for a refusal"


def test_the_file_guard_is_quick_for_it_runs_at_each_write(subagent: Subagent) -> None:
    """Counted in modules, for a clock would tell of other things on this machine; pydantic alone is 60 ms."""
    program = "import sys; from maestro.cli.main import main; main(); print([*sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program, "hook", "pre-tool-use"],
        input=write(subagent, subagent.repo.path / "a.py"), capture_output=True, text=True,
    )  # fmt: skip
    assert "deny" in done.stdout
    loaded = set(ast.literal_eval(done.stderr))
    assert not loaded & {"pydantic", "asyncio", "rich", "psutil", "maestro.vcs.git", "maestro.config.settings"}

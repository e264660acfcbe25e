"""What is offered to a session, and the process that waits for the report."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maestro.agents.base import Claim, Job
from maestro.agents.delegate import DelegateAgent, DelegateOptions
from maestro.clock import SystemClock
from maestro.model.offer import Offer, read_task_line
from maestro.model.report import Report
from maestro.store.offers import Offers, deliver, ring
from maestro.testing.processes import until

REPOSITORY = Path("/home/me/my project")


def job(folder: Path, task: str = "a b", **more: object) -> Job:
    values = {
        "task_id": task, "prompt": "Do it.\n", "prompt_file": folder / "prompt.md", "workspace": folder / "task" / "it",
        "state_dir": folder, "client_config": folder / "c.json", "run_id": "r", "name": "a-b", "attempt": 2,
        "attempt_id": "t/r/a-b/2", "title": "Do\nthe  thing", "wanted_subagent": "wizard", "subagent": "builder",
        "why": "it fits", "report_file": folder / "report.json",
    }  # fmt: skip
    return Job.model_validate({**values, **more})


def agent(folder: Path, **options: object) -> DelegateAgent:
    given = {"folder": folder / "delegate", "repository": REPOSITORY, "command": "maestro", **options}
    return DelegateAgent(DelegateOptions.model_validate(given))


def offered(folder: Path, asked: Job) -> Offer:
    agent(folder).invocation(asked)
    (offer,) = Offers(folder / "delegate").ready()
    return offer


def test_the_offer_says_all_that_a_session_needs(tmp_path: Path) -> None:
    offer = offered(tmp_path, job(tmp_path))
    assert (offer.run_id, offer.task, offer.attempt, offer.attempt_id) == ("r", "a b", 2, "t/r/a-b/2")
    assert (offer.subagent_type, offer.wanted_subagent, offer.why) == ("builder", "wizard", "it fits")
    assert offer.description == "a b: Do the thing"
    assert offer.workspace == tmp_path / "task" / "it"
    assert read_task_line(offer.prompt) == ("r", "a b", 2)
    assert "\n\nDo it.\n\n## Where to work" in offer.prompt
    assert "`cd " + f"{tmp_path}/task/it && `" in offer.prompt


def test_the_command_that_ends_the_prompt_can_be_copied_as_it_is(tmp_path: Path) -> None:
    prompt = offered(tmp_path, job(tmp_path, "it's\"$(x)")).prompt
    command = prompt.partition("```\n")[2].partition("\n```")[0]
    script = f"maestro() {{ printf '%s\\n' \"$@\"; }}\ncd() {{ printf 'in %s\\n' \"$1\"; }}\n{command}"
    said = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said == [
        f"in {REPOSITORY}", "-C", str(REPOSITORY), "report", "--run-id", "r", "--task", "it's\"$(x)", "--attempt", "2",
        "--status", "done", "--summary", "what you did",
    ]  # fmt: skip


def test_the_way_home_is_quoted_even_where_it_need_not_be(tmp_path: Path) -> None:
    """Claude Code takes `cd <its own directory> && ` out of a command, wherever the shell is."""
    agent(tmp_path, repository=Path("/plain")).invocation(job(tmp_path))
    (offer,) = Offers(tmp_path / "delegate").ready()
    assert "\ncd '/plain' && maestro -C /plain report " in offer.prompt


def test_an_id_that_looks_like_an_option_is_none(tmp_path: Path) -> None:
    assert " --task=--status " in offered(tmp_path, job(tmp_path, "--status")).prompt


def test_long_descriptions_are_cut(tmp_path: Path) -> None:
    assert len(offered(tmp_path, job(tmp_path, title="word " * 100)).description) == 60


def test_the_clock_says_when_it_was_offered(tmp_path: Path) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)

    class Stopped(SystemClock):
        def now(self) -> datetime:
            return moment

    DelegateAgent(DelegateOptions(folder=tmp_path / "d"), Stopped()).invocation(job(tmp_path))
    assert Offers(tmp_path / "d").ready()[0].offered_at == moment


@pytest.fixture
def waiter(tmp_path: Path) -> subprocess.Popen[bytes]:
    popen = subprocess.Popen(agent(tmp_path).invocation(job(tmp_path)).argv, stdin=subprocess.DEVNULL)
    until(lambda: b"maestro-waiter" in Path(f"/proc/{popen.pid}/cmdline").read_bytes())
    return popen


def test_the_waiter_ends_with_the_report_and_not_before(waiter: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (offer,) = Offers(tmp_path / "delegate").ready()
    for _ in range(3):
        ring(offer.doorbell)  # somebody rings without a report
    with pytest.raises(subprocess.TimeoutExpired):
        waiter.wait(0.2)
    deliver(offer, Report(status="done"))
    assert waiter.wait(10) == 0


def test_a_report_before_the_waiter_is_not_missed(tmp_path: Path) -> None:
    asked = agent(tmp_path).invocation(job(tmp_path))
    deliver(Offers(tmp_path / "delegate").ready()[0], Report(status="done"))
    assert subprocess.run(asked.argv, timeout=10, check=False).returncode == 0


def test_waiting_costs_nothing(waiter: subprocess.Popen[bytes], tmp_path: Path) -> None:
    def ticks() -> int:
        fields = Path(f"/proc/{waiter.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    until(lambda: Path(f"/proc/{waiter.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S")
    before, begin = ticks(), time.monotonic()
    until(lambda: time.monotonic() - begin > 0.3)
    assert ticks() == before
    deliver(Offers(tmp_path / "delegate").ready()[0], Report(status="done"))
    assert waiter.wait(10) == 0


def test_an_interrupt_ends_the_waiter(waiter: subprocess.Popen[bytes]) -> None:
    waiter.send_signal(2)
    assert waiter.wait(10) != 0


@pytest.mark.parametrize(
    ("code", "claim"), [(0, Claim.DONE), (1, Claim.FAILED), (137, Claim.FAILED), (None, Claim.FAILED)]
)
def test_only_a_report_is_an_end(code: int | None, claim: Claim, tmp_path: Path) -> None:
    verdict = agent(tmp_path).reader().verdict(code, "")
    assert verdict.claim is claim
    assert ("waits for its report" in verdict.reason) == (claim is Claim.FAILED)


def test_it_needs_nothing_of_the_machine(tmp_path: Path) -> None:
    assert agent(tmp_path).availability({}).available
    assert agent(tmp_path).env_names() == ()

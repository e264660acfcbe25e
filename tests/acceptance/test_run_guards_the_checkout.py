"""W-3: an agent that changes the user's checkout is noticed, named and stopped from spreading; the user is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, Started, check_sound

FIND = 'top="$(dirname "$(git rev-parse --path-format=absolute --git-common-dir)")"'

LEAKS = {
    "a new file by its absolute path": ("echo x > '{repo}/leak.txt'", "untracked file leak.txt appeared"),
    "a changed file": ("echo x >> '{repo}/README.md'", "file README.md was changed"),
    "a deleted file": ("rm '{repo}/mine.txt'", "untracked file mine.txt is gone"),
    "another branch": ("git -C '{repo}' checkout -q -b other", "branch switched from main to other"),
    "a commit": ("cd '{repo}' && echo y > README.md && git commit -qam leak", "branch main moved from"),
    "a new file through git": (FIND + '; echo x > "$top/leak.txt"', "untracked file leak.txt appeared"),
    "a changed file through git": (FIND + '; echo x >> "$top/README.md"', "file README.md was changed"),
    "another branch through git": (FIND + '; git -C "$top" checkout -q -b other', "branch switched from main to other"),
    "a moved branch": ("git branch -qf mine HEAD", "branch mine moved"),
    "a deleted branch": ("git branch -qD mine", "branch mine was deleted"),
}


@pytest.mark.parametrize(("script", "words"), LEAKS.values(), ids=LEAKS.keys())
def test_a_leak_stops_the_run_and_is_said(repo: Repository, run: Run, script: str, words: str) -> None:
    (repo.path / "mine.txt").write_text("mine\n")
    repo.git("branch", "mine", repo.git("commit-tree", "main^{tree}", "-m", "mine"))
    leak = script.format(repo=repo.path)
    agent = f'{WRITES_ONE_FILE}; if [ "$MAESTRO_TASK_ID" = leaky ]; then {leak}; fi'
    tasks = [{"id": "leaky"}, {"id": "later", "dependencies": ["leaky"]}]
    said = run(tasks, agent=agent)
    assert words in said.err
    assert said.code == 3, (said.json, said.err)
    assert said.json["status"] == "blocked"
    assert said.json["reason"].startswith("task leaky changed your checkout: ")
    assert words in said.json["reason"]
    assert said.statuses() == {"leaky": "landed", "later": "pending"}
    check_sound(repo)


def test_what_runs_beside_a_leak_finishes_and_lands(repo: Repository, run: Run, tmp_path: Path) -> None:
    leaked = tmp_path / "leaked"
    agent = (
        f'if [ "$MAESTRO_TASK_ID" = leaky ]; then echo x > "{repo.path}/leak.txt"; touch "{leaked}"; '
        f'else until [ -e "{leaked}" ]; do sleep 0.05; done; sleep 0.5; fi; {WRITES_ONE_FILE}'
    )
    tasks = [{"id": "leaky"}, {"id": "beside"}, {"id": "later", "dependencies": ["beside"]}]
    said = run(tasks, "--max-parallel", "2", agent=agent)
    assert said.code == 3, said.err
    assert said.statuses() == {"leaky": "landed", "beside": "landed", "later": "pending"}


def test_the_user_at_work_is_a_warning(repo: Repository, start: Callable[..., Started], tmp_path: Path) -> None:
    here, go = tmp_path / "here", tmp_path / "go"
    agent = f'touch "{here}"; until [ -e "{go}" ]; do sleep 0.02; done; {WRITES_ONE_FILE}'
    started = start([{"id": "a"}, {"id": "b", "dependencies": ["a"]}], agent=agent)
    started.until(here)
    (repo.path / "notes.txt").write_text("of the user\n")
    repo.git("checkout", "-q", "-b", "feature")
    repo.commit({"feature.txt": "x\n"})
    go.touch()
    said = started.end()
    assert said.code == 0, said.err
    assert "branch switched from main to feature" in said.err
    assert said.statuses() == {"a": "landed", "b": "landed"}


def test_the_user_at_work_while_another_agent_runs_is_a_warning(
    repo: Repository, start: Callable[..., Started], tmp_path: Path
) -> None:
    """A live agent has its log files open below the checkout: that alone makes nobody guilty."""
    here, go = tmp_path / "here", tmp_path / "go"
    agent = (
        f'if [ "$MAESTRO_TASK_ID" = slow ]; then touch "{here}.slow"; until [ -e "{go}.slow" ]; do sleep 0.02; done; '
        f'else touch "{here}"; until [ -e "{go}" ]; do sleep 0.02; done; fi; {WRITES_ONE_FILE}'
    )
    started = start([{"id": "slow"}, {"id": "quick"}, {"id": "next"}], "--max-parallel", "2", agent=agent)
    started.until(here, Path(f"{here}.slow"))
    (repo.path / "notes.txt").write_text("of the user\n")
    go.touch()
    started.until_said("notes.txt")
    Path(f"{go}.slow").touch()
    said = started.end()
    assert said.code == 0, said.err
    assert set(said.statuses().values()) == {"landed"}


def test_a_branch_that_an_agent_makes_in_its_worktree_stops_nobody(repo: Repository, run: Run) -> None:
    agent = f'git checkout -qb "feature-$MAESTRO_TASK_ID"; {WRITES_ONE_FILE}; sleep 0.3'
    said = run([{"id": "a"}, {"id": "b"}, {"id": "c"}, {"id": "d"}], "--max-parallel", "2", agent=agent)
    assert said.code == 0, (said.json, said.err)
    assert set(said.statuses().values()) == {"landed"}


def test_a_checkout_that_cannot_be_read_for_a_while_ends_no_run(
    repo: Repository, start: Callable[..., Started], tmp_path: Path
) -> None:
    here, go = tmp_path / "here", tmp_path / "go"
    agent = f'touch "{here}"; until [ -e "{go}" ]; do sleep 0.02; done; {WRITES_ONE_FILE}'
    started = start([{"id": "a"}], agent=agent)
    started.until(here)
    index = repo.path / ".git" / "index"
    whole = index.read_bytes()
    index.write_bytes(b"DIRC torn")
    go.touch()
    said = started.end()
    index.write_bytes(whole)
    assert said.code == 0, (said.out, said.err)
    assert "could not be compared" in said.err

"""Branches moved by others, odd repositories, full disks and failing setup: landed, or said clearly."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maestro.proc.family import census
from maestro.testing.commandline import Said, maestro
from maestro.testing.processes import until
from maestro.testing.repository import Repository, make_repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, Started, check_sound

Start = Callable[..., Started]

CHAIN = [{"id": "a"}, {"id": "b", "dependencies": ["a"]}]


def waits(here: Path, go: Path, task: str = "a") -> str:
    return (
        f'if [ "$MAESTRO_TASK_ID" = {task} ]; then touch "{here}"; until [ -e "{go}" ]; do sleep 0.02; done; fi; '
        + WRITES_ONE_FILE
    )


class Moment:
    """A run that waits in the middle of a task until the test says go on."""

    def __init__(self, start: Start, tmp_path: Path, task: str, *flags: str) -> None:
        here, self._go = tmp_path / "here", tmp_path / "go"
        self._started = start(CHAIN, "--run-id", "r", *flags, agent=waits(here, self._go, task))
        self._started.until(here)

    def go_on(self) -> Said:
        self._go.touch()
        said = self._started.end()
        assert "Traceback" not in said.err
        return said


# -- branches --------------------------------------------------------------------------------------------------------


def test_commits_that_others_add_to_the_integration_branch_stay(repo: Repository, start: Start, tmp_path: Path) -> None:
    moment = Moment(start, tmp_path, "b")
    tip = repo.git("rev-parse", "integration/r")
    tree = repo.git("rev-parse", f"{tip}^{{tree}}")
    mine = repo.git("commit-tree", tree, "-p", tip, "-m", "by hand")
    repo.git("update-ref", "refs/heads/integration/r", mine)
    said = moment.go_on()
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed", "b": "landed"}
    repo.git("merge-base", "--is-ancestor", mine, "integration/r")
    assert "somebody else added commits" in said.err
    check_sound(repo)


@pytest.mark.parametrize("how", ["deleted", "set back"])
def test_an_integration_branch_that_was_taken_away_stops_the_run(
    repo: Repository, start: Start, tmp_path: Path, how: str
) -> None:
    moment = Moment(start, tmp_path, "b")
    tip = repo.git("rev-parse", "integration/r")
    if how == "deleted":
        repo.git("branch", "-qD", "integration/r")
    else:
        repo.git("update-ref", "refs/heads/integration/r", "main")
    said = moment.go_on()
    assert said.code == 3, said.err
    assert said.statuses()["b"] == "blocked"
    assert tip in said.json["tasks"]["b"]["reason"]  # so that nothing is lost
    assert "out-b.txt" in repo.files(said.json["tasks"]["b"]["saved_ref"])
    assert "no longer on integration/r" in said.err
    check_sound(repo)


def test_an_integration_branch_that_the_user_checked_out_is_not_moved_under_them(
    repo: Repository, start: Start, tmp_path: Path
) -> None:
    moment = Moment(start, tmp_path, "b")
    repo.git("checkout", "-q", "integration/r")
    said = moment.go_on()
    assert said.code == 3, said.err
    assert "is checked out in" in said.json["tasks"]["b"]["reason"]
    assert repo.git("status", "--porcelain") == ""
    assert "out-b.txt" in repo.files(said.json["tasks"]["b"]["saved_ref"])
    check_sound(repo)


def test_a_base_that_moved_is_not_forced(repo: Repository, start: Start, tmp_path: Path) -> None:
    moment = Moment(start, tmp_path, "b", "--land-on-base")
    head = repo.commit({"mine.txt": "mine\n"})
    said = moment.go_on()
    assert said.code == 3, said.err
    assert said.statuses() == {"a": "landed", "b": "landed"}
    assert "the integration branch holds everything" in said.json["reason"]
    assert repo.head == head
    assert "out-b.txt" in repo.files("integration/r")
    check_sound(repo)


# -- gates and setup -------------------------------------------------------------------------------------------------

GATES = {
    "timeout": ("sleep 60", ["--test-timeout", "1"], "did not end within 1 s"),
    "nothing collected": ("python3 -m pytest -q", [], "no tests"),
    "a missing runner": ("no-such-runner --all", [], "no-such-runner"),
}


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(("command", "flags", "words"), GATES.values(), ids=GATES.keys())
def test_a_gate_that_cannot_judge_is_no_pass_and_no_fault_of_the_task(
    repo: Repository, run: Run, command: str, flags: list[str], words: str
) -> None:
    said = run(CHAIN, *flags, tests=command, env={"MAESTRO_STOP_INTERRUPT_SECONDS": "0.2"})
    assert said.code == 3, (said.json, said.err)
    assert said.statuses() == {"a": "blocked", "b": "pending"} or said.statuses() == {"a": "blocked", "b": "blocked"}
    assert words.lower() in said.json["tasks"]["a"]["reason"].lower(), said.json
    assert "out-a.txt" in repo.files(said.json["tasks"]["a"]["saved_ref"])


@pytest.mark.usefixtures("unharmed")
def test_a_base_that_is_red_itself_is_named(run: Run) -> None:
    said = run([{"id": "a"}], tests="echo FAILED; exit 1")
    assert said.code == 3, (said.json, said.err)
    assert said.json["tasks"]["a"]["status"] == "blocked"
    assert "without" in said.json["tasks"]["a"]["reason"] or "base" in said.json["tasks"]["a"]["reason"]


@pytest.mark.usefixtures("unharmed")
def test_a_flaky_test_lands_and_is_said(run: Run, tmp_path: Path) -> None:
    said = run([{"id": "a"}], tests=f"[ -e {tmp_path}/second ] || {{ touch {tmp_path}/second; exit 1; }}")
    assert said.code == 0, (said.json, said.err)
    assert "flaky" in said.err.lower() or "flaky" in said.out.lower(), (said.err, said.json)


@pytest.mark.usefixtures("unharmed")
def test_a_gate_that_wrecks_its_workspace_gets_a_new_one(run: Run) -> None:
    said = run(CHAIN, tests="rm -rf .git; mkdir -p nested/.git; chmod a-w .")
    assert said.code == 0, (said.json, said.err)


@pytest.mark.usefixtures("unharmed")
def test_setup_that_fails_or_hangs_is_the_attempts_failure(run: Run) -> None:
    said = run([{"id": "a"}], env={"MAESTRO_SETUP": "echo no network; exit 7"})
    assert said.code == 1
    assert "'echo no network; exit 7' ended with exit code 7" in said.json["tasks"]["a"]["reason"]
    assert said.json["tasks"]["a"]["attempts"] == 2
    env = {"MAESTRO_SETUP": "sleep 60", "MAESTRO_SETUP_TIMEOUT": "0.3", "MAESTRO_ATTEMPTS": "1"}
    said = run([{"id": "a"}], env=env)
    assert said.code == 1
    assert "did not end within 0.3 s" in said.json["tasks"]["a"]["reason"]


def test_copied_and_linked_files_are_there_and_never_land(repo: Repository, run: Run) -> None:
    (repo.path / ".git" / "info" / "exclude").write_text(".env\nnode_modules\nconfig.toml\n")
    (repo.path / ".env").write_text("SECRET=1\n")
    (repo.path / "node_modules").mkdir()
    (repo.path / "node_modules" / "dep.js").write_text("dep\n")
    config = repo.path / ".flow" / "maestro" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('copy = [".env"]\nsymlink = ["node_modules"]\nsetup = ["cp .env from-setup.txt"]\n')
    (config.parent / ".gitignore").write_text("*\n")
    agent = f"cat .env node_modules/dep.js from-setup.txt >/dev/null && {WRITES_ONE_FILE}"
    said = run([{"id": "a"}], agent=agent)
    assert said.code == 0, (said.json, said.err)
    landed = repo.files(said.json["integration_branch"])
    assert ".env" not in landed
    assert "node_modules" not in landed
    assert (repo.path / "node_modules" / "dep.js").read_text() == "dep\n"
    assert repo.git("status", "--porcelain") == ""
    check_sound(repo)


# -- two runs --------------------------------------------------------------------------------------------------------


def test_a_group_in_common_is_refused_and_names_the_holder(repo: Repository, start: Start, tmp_path: Path) -> None:
    here, go = tmp_path / "here", tmp_path / "go"
    started = start([{"id": "a", "title": "[P:Group-g] x"}], "--run-id", "one", agent=waits(here, go))
    started.until(here)
    other = tmp_path / "other.json"
    other.write_text('[{"id": "z", "title": "[P:Group-g] other"}]')
    said = maestro("run", "--tasks-file", str(other), "--agent-command", "true", "--no-tests", "--json", cwd=repo.path)
    assert said.code == 3
    assert "Group g is held by run one" in said.json["error"]["message"]
    go.touch()
    assert started.end().code == 0
    check_sound(repo)


def test_a_dead_run_holds_its_tasks_as_long_as_its_agents_work(
    repo: Repository, start: Start, run: Run, tmp_path: Path
) -> None:
    """Two agents on one task help nobody; its claim alone holds nobody up."""
    here, go = tmp_path / "here", tmp_path / "go"
    started = start(CHAIN, "--run-id", "dead", agent=waits(here, go))
    started.until(here)
    started.process.kill()
    started.process.communicate()
    refused = run(CHAIN, agent=WRITES_ONE_FILE)
    assert refused.code == 3
    assert refused.json["error"]["message"] == "Run dead over this backlog has died, and an agent of it still works."
    assert "maestro resume --run-id dead" in refused.json["error"]["hint"]
    go.touch()
    token = json.loads((repo.path / ".flow/maestro/runs/dead/blueprint.json").read_text())["token"]
    until(lambda: not any(marker.startswith(f"{token}/") for marker in census()))
    said = run(CHAIN, agent=WRITES_ONE_FILE)
    assert said.code == 0, said.err
    cleaned = maestro("clean", "--force", cwd=repo.path)
    assert cleaned.code == 0, cleaned.err


# -- odd repositories ------------------------------------------------------------------------------------------------


def lands(run: Run, user: Repository, *flags: str) -> None:
    head = user.git("rev-parse", "HEAD", "--abbrev-ref", "HEAD")
    said = run(CHAIN, *flags, cwd=user.path)
    assert said.code == 0, (said.out, said.err)
    assert {"out-a.txt", "out-b.txt"} <= set(user.files(said.json["integration_branch"]))
    assert user.git("rev-parse", "HEAD", "--abbrev-ref", "HEAD") == head
    assert user.git("status", "--porcelain") == ""
    assert maestro("status", "--json", cwd=user.path).code == 0


@pytest.mark.parametrize("name", ["with spaces", "new\nline", "größe", "quote'\"$(x)", "-dash", "b\udce9d"])
@pytest.mark.parametrize("kind", ["worktree", "clone"])
def test_repositories_whose_path_is_odd(run: Run, tmp_path: Path, name: str, kind: str) -> None:
    lands(run, make_repository(tmp_path / name), "--workspace", kind)


def test_a_linked_worktree_is_a_checkout_too(repo: Repository, run: Run, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", "-b", "feature", str(tmp_path / "linked"))
    linked = Repository(tmp_path / "linked")
    lands(run, linked)
    assert repo.git("status", "--porcelain") == ""
    assert len(repo.git("worktree", "list").splitlines()) == 2


def test_a_bare_clone_with_worktrees(repo: Repository, run: Run, tmp_path: Path) -> None:
    bare = tmp_path / "layout" / ".bare"
    repo.git("clone", "-q", "--bare", str(repo.path), str(bare))
    (tmp_path / "layout" / ".git").write_text("gitdir: ./.bare\n")
    Repository(tmp_path / "layout").git("worktree", "add", "-q", "main", "main")
    lands(run, Repository(tmp_path / "layout" / "main"))


def test_a_shallow_clone(repo: Repository, run: Run, tmp_path: Path) -> None:
    repo.commit({"b.txt": "b\n"})
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.path}", str(tmp_path / "shallow"))
    lands(run, Repository(tmp_path / "shallow"))


def test_a_sparse_checkout(repo: Repository, run: Run) -> None:
    repo.commit({"in/a.txt": "a\n", "out/b.txt": "b\n"})
    repo.git("sparse-checkout", "set", "in")
    lands(run, repo)
    assert not (repo.path / "out").exists()


def test_a_submodule(repo: Repository, run: Run, tmp_path: Path) -> None:
    part = make_repository(tmp_path / "part")
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part.path), "part")
    repo.git("commit", "-qm", "with a part")
    agent_sees = "test -e part/README.md && " + WRITES_ONE_FILE
    said = run(CHAIN, agent=agent_sees)
    assert said.code == 0, (said.out, said.err)
    assert repo.git("status", "--porcelain") == ""


def test_a_home_that_cannot_be_written(repo: Repository, run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    home = {"HOME": str(tmp_path / "file" / "home")}
    said = run([{"id": "a"}], env=home)
    assert said.code == 2, (said.out, said.err)
    assert "cannot be written" in said.json["error"]["message"]
    assert "--workspace-root" in said.json["error"]["hint"]
    said = run([{"id": "a"}], "--workspace-root", str(tmp_path / "elsewhere"), env=home)
    assert said.code == 0, (said.out, said.err)


# -- disks -----------------------------------------------------------------------------------------------------------


def test_a_floor_of_free_disk_is_kept_and_said(repo: Repository, run: Run) -> None:
    said = run(CHAIN, env={"MAESTRO_MIN_FREE_DISK_MB": "100000000"})
    assert said.code == 3, said.err
    assert "are free on the disk of" in said.json["reason"]
    assert said.statuses() == {"a": "pending", "b": "pending"}
    check_sound(repo)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path, leave: int = 0) -> str:
    """A shell line that fills the disk but for some bytes."""
    return f'head -c 50000000 /dev/zero > "{place}/filler" 2>/dev/null; truncate -s -{leave} "{place}/filler"; '


def test_a_full_disk_of_workspaces_fails_attempts_with_its_reason(repo: Repository, run: Run, small_disk: Path) -> None:
    repo.commit({"big.bin": "x" * 3_000_000})
    said = run(
        [{"id": "a"}, {"id": "b"}, {"id": "c"}], "--workspace-root", str(small_disk / "ws"), "--attempts", "1",
        "--max-parallel", "3", agent=f"sleep 0.5; {WRITES_ONE_FILE}", env={"MAESTRO_MIN_FREE_DISK_MB": "0"},
    )  # fmt: skip
    assert said.code == 1, (said.out, said.err)
    assert "Traceback" not in said.err
    reasons = [entry["reason"] for entry in said.json["tasks"].values() if entry["status"] == "failed"]
    assert reasons
    assert all("no space left on device" in reason.lower() for reason in reasons), reasons
    assert repo.git("status", "--porcelain") == ""
    assert repo.git("for-each-ref", "refs/heads/maestro") == ""
    check_sound(repo)


def test_a_full_state_disk_stops_the_run_and_saves_the_work(
    repo: Repository, start: Start, run: Run, small_disk: Path, tmp_path: Path
) -> None:
    state = repo.path / ".flow" / "maestro"
    state.mkdir(parents=True)
    subprocess.run(["mount", "--bind", small_disk, state], check=True)
    try:
        here, go = tmp_path / "here", tmp_path / "go"
        # more than what may be left of the journal's last block
        report = 'printf \'{"status": "done", "summary": "%08000d"}\' 1 > "$MAESTRO_REPORT_FILE"; '
        agent = (
            f'{WRITES_ONE_FILE}; {report} touch "{here}-$MAESTRO_TASK_ID"; until [ -e "{go}" ]; do sleep 0.02; done; '
            'if [ "$MAESTRO_TASK_ID" = b ]; then sleep 60; fi'
        )
        started = start(
            [{"id": "a"}, {"id": "b"}, {"id": "c", "dependencies": ["a"]}], "--run-id", "full", agent=agent,
            env={"MAESTRO_MIN_FREE_DISK_MB": "0", "MAESTRO_STOP_INTERRUPT_SECONDS": "0.2"},
        )  # fmt: skip
        started.until(Path(f"{here}-a"), Path(f"{here}-b"))
        subprocess.run(["sh", "-c", fill(small_disk)], check=False)
        go.touch()
        said = started.end()
        assert said.code not in (0, 70), (said.out, said.err)
        assert "Traceback" not in said.err
        assert "no space left on device" in said.json["error"]["message"].lower()
        saved = repo.git("for-each-ref", "--format=%(refname)", "refs/maestro/saved/full").splitlines()
        work = {name for ref in saved for name in repo.files(ref)}
        assert {"out-a.txt", "out-b.txt"} <= work | set(repo.files("integration/full")), (saved, said.err)
        (small_disk / "filler").unlink()
        assert maestro("status", "--json", cwd=repo.path).json["runs"][0]["alive"] is False
        again = run(
            [{"id": "a"}, {"id": "b"}, {"id": "c", "dependencies": ["a"]}], env={"MAESTRO_MIN_FREE_DISK_MB": "0"}
        )
        assert again.code == 0, (again.out, again.err)
        cleaned = maestro("clean", "--force", cwd=repo.path)
        assert cleaned.code == 0, cleaned.err
    finally:
        subprocess.run(["umount", "-l", state], check=True)
    assert repo.git("status", "--porcelain") == ""
    check_sound(repo)


def test_a_state_disk_that_is_full_from_the_start_is_refused(repo: Repository, run: Run, small_disk: Path) -> None:
    state = repo.path / ".flow" / "maestro"
    state.mkdir(parents=True)
    subprocess.run(["sh", "-c", fill(small_disk)], check=False)
    subprocess.run(["mount", "--bind", small_disk, state], check=True)
    try:
        said = run([{"id": "a"}], env={"MAESTRO_MIN_FREE_DISK_MB": "0"})
        assert said.code not in (0, 70), (said.out, said.err)
        assert "no space left on device" in said.json["error"]["message"].lower()
        assert "Traceback" not in said.err
    finally:
        subprocess.run(["umount", "-l", state], check=True)
    check_sound(repo)
    assert not any(state.iterdir())

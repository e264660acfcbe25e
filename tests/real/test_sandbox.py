"""Agents in a real sandbox: what they cannot reach, and that everything else works as without one (I-6)."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from maestro.proc.family import members, resident_bytes
from maestro.testing.commandline import maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.real.sandbox_lab import SECRET, SandboxLab, skip_without_bubblewrap

pytestmark = [pytest.mark.real("bwrap"), pytest.mark.needs_namespaces, pytest.mark.timeout(120)]

WORKS = 'echo "$MAESTRO_TASK_ID" >"$MAESTRO_TASK_ID.txt"; git add -A; git commit -qm "Work on $MAESTRO_TASK_ID"'
KINDS = ("worktree", "clone")


@pytest.fixture
def lab(repo: Repository, hermetic: Path, tmp_path: Path) -> SandboxLab:
    skip_without_bubblewrap()
    return SandboxLab(repo, hermetic, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_inside_reads_no_secret_and_writes_nothing_of_the_users(lab: SandboxLab, kind: str) -> None:
    attack = f"""
        for file in "$HOME/.ssh/id" "{lab.home}/.ssh/id" "$MAESTRO_REPOSITORY/.env" "{lab.folder}/tasks.json"; do
            cat "$file" && echo "READ $file"
        done
        grep -rs "{SECRET}" "$HOME" "$MAESTRO_REPOSITORY" /tmp /run /home && echo FOUND
        for place in "$MAESTRO_REPOSITORY" "$MAESTRO_REPOSITORY/.git/hooks" "$MAESTRO_REPOSITORY/.git/refs/heads" \\
            "$MAESTRO_REPOSITORY/.flow/maestro" "$MAESTRO_REPOSITORY/.flow/maestro/runs/it" \\
            "$MAESTRO_WORKSPACE_DIR/.." /etc /usr/bin; do
            (echo evil >"$place/evil") 2>/dev/null && echo "WROTE $place"
        done
        (echo evil >>"$MAESTRO_REPOSITORY/README.md") 2>/dev/null && echo WROTE README
        git -C "$MAESTRO_REPOSITORY" config user.name evil 2>/dev/null && echo CONFIGURED
        git -C "$MAESTRO_REPOSITORY" update-ref refs/heads/main HEAD~0 2>/dev/null && echo MOVED
        git -C "$MAESTRO_REPOSITORY" branch evil 2>/dev/null && echo BRANCHED
        {WORKS}
    """
    before = lab.checkout()
    said = lab.run(attack, "--workspace", kind)
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed"}
    assert lab.said_inside() == ""
    assert lab.checkout() == before
    assert lab.repo.show(said.json["integration_branch"], "a.txt") == "a"
    assert not (lab.home / ".ssh" / "evil").exists()


def test_the_workspace_of_a_sibling_is_not_there(lab: SandboxLab) -> None:
    meets = f"""
        ls "$MAESTRO_WORKSPACE_DIR/../.."
        mkdir -p "$HOME/met" && echo 1 >"/tmp/mine" && ls "$HOME" && ls /tmp/mine
        touch "$MAESTRO_WORKSPACE_DIR/../../task-a/x" 2>/dev/null && [ "$MAESTRO_TASK_ID" = b ] && echo REACHED
        {WORKS}
    """
    said = lab.run(meets, "--max-parallel", "1", tasks=("a", "b"), env={"MAESTRO_KEEP_WORKSPACES": "true"})
    assert said.code == 0, said.err
    for task in ("a", "b"):
        assert lab.said_inside(task).split() == [f"task-{task}", "met", "/tmp/mine"]
    [root] = (lab.home / ".local/state/maestro/workspaces").glob("*/it")
    assert {f"task-{task}" for task in ("a", "b")} <= {path.name for path in root.iterdir()}, "they did stand there"
    assert not (lab.home / "met").exists()
    assert not Path("/tmp/mine").exists()


def test_tests_and_set_up_run_inside_and_tests_leave_their_report(lab: SandboxLab) -> None:
    looks = f'cat "{lab.home}/.ssh/id"; touch "{lab.repo.path}/evil" 2>/dev/null; test ! -e "{lab.home}/.ssh"'
    lab.env["MAESTRO_SETUP"] = f"{looks} && echo made >set-up.txt"
    tests = f"{looks} && test -e set-up.txt && python -m pytest -q -p no:cacheprovider test_it.py"
    makes = "echo 'def test_it(): pass' >test_it.py; echo set-up.txt >.gitignore; git add -A; git commit -qm Work"
    said = lab.run(makes, "--test-command", tests)
    assert said.code == 0, said.err
    assert "cat: " in (lab.attempt() / "setup.log").read_text(), "there is no such file inside"
    gate = lab.repo.path / ".flow/maestro/runs/it/gates/1"
    assert 'name="test_it"' in (gate / "junit.xml").read_text()
    assert not (lab.repo.path / "evil").exists()


def test_tests_cannot_have_maestro_read_what_they_cannot(lab: SandboxLab) -> None:
    """The end of their output goes into prompts."""
    folder = lab.repo.path / ".flow/maestro/runs/it/gates/1"
    links = "; ".join(f'ln -sf "{lab.home}/.ssh/id" "{folder}/{name}"' for name in ("output", "exit", "junit.xml", "x"))
    said = lab.run(WORKS, "--attempts", "1", "--test-command", f"({links}) 2>&1; false")
    assert said.code == 3, "red without the task as well"
    assert SECRET not in said.out + said.err + (lab.repo.path / ".flow/maestro/runs/it/journal.jsonl").read_text()
    assert not [path for path in folder.iterdir() if path.is_symlink()]


def test_an_agent_that_stands_in_the_hidden_checkout_is_not_blamed_for_what_the_user_does(lab: SandboxLab) -> None:
    gates = {task: lab.folder / f"go-{task}" for task in ("a", "b")}
    for gate in gates.values():
        os.mkfifo(gate)
    lab.env["MAESTRO_SANDBOX_READ"] = ",".join(map(str, gates.values()))
    waits = f'cd "$MAESTRO_REPOSITORY"; echo here; read _ <"{lab.folder}/go-$MAESTRO_TASK_ID"'
    started = lab.start(f'{waits}; cd "$MAESTRO_WORKSPACE_DIR"; {WORKS}', "--max-parallel", "2", tasks=tuple(gates))
    until(lambda: all(lab.has_said("here\n", task) for task in gates))
    lab.repo.write({"users.txt": "mine\n"})
    gates["a"].write_text("go\n")
    journal = lab.repo.path / ".flow/maestro/runs/it/journal.jsonl"
    until(lambda: "users.txt" in journal.read_text())  # while b stands there
    gates["b"].write_text("go\n")
    assert started.wait(60) == 0, "a leak would have stopped the run with 3"


def test_a_command_that_does_not_exist_is_said_as_without_a_sandbox(lab: SandboxLab) -> None:
    said = lab.run("exec no-such-agent", "--attempts", "1")
    assert said.code == 1
    assert (lab.attempt() / "exit").read_text() == "127\n"


def test_the_stop_ladder_reaches_the_agent_and_nothing_inside_outlives_it(lab: SandboxLab) -> None:
    number = f"86400.{os.getpid()}"  # nobody else sleeps for just so long
    leaves = f"env -i setsid sleep {number} & setsid sleep {number} &"
    agent = f'trap "echo interrupted; exit 3" INT; {leaves} while :; do sleep 0.05; done'
    said = lab.run(f"exec sh -c '{agent}'", "--attempts", "1", "--task-timeout", "1")
    assert said.code == 1, said.err
    assert lab.said_inside() == "interrupted\n"
    assert (lab.attempt() / "exit").read_text() == "3\n"
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if number.encode() in _read(path)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_its_processes_are_found_and_measured_from_outside_and_outlive_the_coordinator(lab: SandboxLab) -> None:
    go = lab.folder / "go"
    os.mkfifo(go)
    lab.env["MAESTRO_SANDBOX_READ"] = str(go)
    started = lab.start(f'echo here; read _ <"{go}"; {WORKS}')
    stdout = lab.attempt() / "stdout"
    until(lambda: stdout.exists() and stdout.read_text() == "here\n")
    token = json.loads((lab.repo.path / ".flow/maestro/runs/it/blueprint.json").read_text())["token"]
    family = members(f"{token}/it/a/1")
    assert resident_bytes(family) > 1_000_000
    names = {Path(f"/proc/{one.pid}/exe").readlink().name for one in family}
    assert "bwrap" not in names
    started.send_signal(signal.SIGKILL)
    started.wait()
    resumed = lab.start_resume()
    until(lambda: "resumed" in (lab.repo.path / ".flow/maestro/runs/it/journal.jsonl").read_text())
    go.write_text("go\n")
    out, err = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, err
    assert json.loads(out)["tasks"]["a"]["attempts"] == 1
    assert stdout.read_text() == "here\n"


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_cannot_have_maestros_own_git_run_a_program_of_its(lab: SandboxLab, kind: str) -> None:
    """maestro looks at what an agent left with git, outside: git's configuration can name programs."""
    escaped = lab.folder / "escaped"
    attacks = _attacks(f'echo "$0" >>"{escaped}"; cat')
    cases = "\n".join(f"{task})\n{attack}\n;;" for task, attack in attacks.items())
    said = lab.run(f'case "$MAESTRO_TASK_ID" in\n{cases}\nesac', "--workspace", kind, tasks=tuple(attacks))
    assert set(said.statuses()) == set(attacks), said.err
    assert not escaped.exists()


def _attacks(evil: str) -> dict[str, str]:
    program = f"git config filter.x.clean '{evil}'; git config core.fsmonitor '{evil}'"
    settings = f"{program}; echo '* filter=x' >.gitattributes"
    other = f"git init -q other && (cd other && {settings}); echo x >y"
    here = '"$MAESTRO_WORKSPACE_DIR"'
    sub = f"git init -q sub && cd sub && git commit -q --allow-empty -m x; {settings}; echo x >z; cd ..; git add sub"
    return {
        "settings": f"{settings}; {WORKS}",
        "replaced": f"{other}; cp -r other/.git elsewhere; mv .git gone; cp -r elsewhere .git; {WORKS}",
        "led": f'{other}; cd "$(git rev-parse --git-dir)" && echo {here}/other/.git >commondir; cd {here}; {WORKS}',
        "inside": f"{sub}; {WORKS}",
        "left": f"{sub}; echo x >y",
    }


def test_a_checkout_that_is_a_worktree_and_borrows_its_objects_serves_as_any(lab: SandboxLab, tmp_path: Path) -> None:
    clone, linked = lab.home / "clone", lab.home / "linked"
    lab.repo.git("clone", "-q", "--shared", str(lab.repo.path), str(clone))
    Repository(clone).git("worktree", "add", "-q", "-b", "mine", str(linked))
    lab.repo = Repository(linked)
    said = lab.run(f"git log --stat -1 && python -m maestro lock tests -- true && {WORKS}", "--attempts", "1")
    assert said.code == 0, said.err + (lab.attempt() / "stderr").read_text()
    assert (clone / ".flow/maestro/locks/named").is_dir()
    assert lab.repo.show(said.json["integration_branch"], "a.txt") == "a"


def test_notes_can_be_left_and_locks_be_held_from_inside(lab: SandboxLab) -> None:
    says = "sh -c 'echo \"$MAESTRO_FENCING_TOKEN\"' >/tmp/token"
    locks = [
        f"python -m maestro lock {name} --scope {scope} -- {says} || exit 9"
        for name, scope in (("tests", "repo"), ("build", "machine"), ("docker", "run"))
    ]
    checks = '[ "$(cat /tmp/token)" -gt 1000000000 ] || exit 8'
    tests = "python -m maestro lock tests -- python -m pytest -q -p no:cacheprovider test_it.py >/tmp/said || exit 7"
    work = [*(f"{lock}; {checks}" for lock in locks), "echo 'def test_it(): pass' >test_it.py", tests]
    said = lab.run("\n".join((*work, 'python -m maestro note "mind the gap" || exit 6', WORKS)), "--attempts", "1")
    assert said.code == 0, said.err + (lab.attempt() / "stderr").read_text()
    assert "mind the gap" in (lab.repo.path / ".flow/maestro/runs/it/board.jsonl").read_text()
    assert 'name="test_it"' in next((lab.attempt() / "tests").glob("*.xml")).read_text()


@pytest.mark.real("claude")
@pytest.mark.parametrize("home", ["user", "private"])
def test_claude_works_inside(
    lab: SandboxLab, server: ModelServer, real: dict[str, Path], home: str, tmp_path: Path
) -> None:
    steps: list[dict[str, Any]] = [
        {"bash": f'(cat "{lab.home}/.ssh/id"; touch "{lab.repo.path}/evil"; ls -A "{lab.home}") > seen.txt; true'},
        {"write": {"path": "a.txt", "content": "x\n"}},
        {"bash": "git add -A && git commit -qm work"},
        {"say": "all done"},
    ]
    tasks = [{"id": "a", "description": f"Do it.\n\n```maestro-script\n{json.dumps(steps)}\n```\n"}]
    (lab.home / ".claude").mkdir()
    (lab.home / ".claude" / "CLAUDE.md").write_text("Be brief.\n")
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps(tasks))
    env = {
        **lab.env,
        "PATH": f"{real['claude'].parent}:{os.environ['PATH']}",
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_API_KEY": "fake-key",
        "IS_SANDBOX": "1",
        "MAESTRO_HOME": home,
    }
    arguments = ("run", "--tasks-file", str(file), "--agent", "claude", "--no-tests", "--run-id", "it", "--json")
    said = maestro(*arguments, cwd=lab.repo.path, env=env, timeout_seconds=100)
    assert said.code == 0, said.err
    branch = said.json["integration_branch"]
    assert lab.repo.show(branch, "a.txt") == "x"
    assert SECRET not in lab.repo.show(branch, "seen.txt")
    assert ".ssh" not in lab.repo.show(branch, "seen.txt")
    assert not (lab.repo.path / "evil").exists()
    assert sorted(path.name for path in (lab.home / ".claude").iterdir()) == ["CLAUDE.md"], "its sessions are its own"
    assert {one.api_key for one in server.requests} == {"fake-key"}

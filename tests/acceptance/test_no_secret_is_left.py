"""No secret is left by a run: not in a file of its state, not on a screen, not in a process's arguments.

Everything that can print prints everything it knows, in several encodings: the setup, the refresh, agents in their
output, reports, notes and commits, the tests in their output and their JUnit file.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from maestro.proc.family import command_line as arguments_of_process
from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.repository import Repository

VARIABLES = {
    "PLANTED_API_KEY": 'Pl4nted"allowed&key/0001+x',  # agents get it, by env_allow
    "HIDDEN_TOKEN": "Pl4nted-hidden-token-0002",  # they do not
    "PG_URL": "postgres://app:Pl4nted-db-pass-0006@localhost/app",
}
IN_FILES = {
    "git": "Pl4nted-git-pass-0003",
    "server": "Pl4nted-server-key-0004",
    "shape": "sk-ant-api03-Pl4ntedShape0005",
    "password": "Pl4nted-db-pass-0006",
}
SECRETS = [VARIABLES["PLANTED_API_KEY"], VARIABLES["HIDDEN_TOKEN"], *IN_FILES.values()]

SHOUT = """
import base64, json, os, pathlib, sys, time, urllib.parse
vault = json.load(open(sys.argv[1]))
seen = pathlib.Path(sys.argv[1]).with_name("seen")
while seen.exists() and not (seen / str(os.getpid())).exists():  # whoever watches has looked at it
    time.sleep(0.005)
def shout(stream):
    for name, value in os.environ.items():
        print(name, "=", value, file=stream)
    for one in vault:
        print("plain", one, one, file=stream)
        print(json.dumps({"text": json.dumps({"inner": one}), "one": one}), file=stream)
        print(urllib.parse.quote(one, safe=""), urllib.parse.quote_plus(one), file=stream)
        print(base64.b64encode(one.encode()).decode(), one.encode().hex(), file=stream)
        print("Authorization: Basic", base64.b64encode(f"me:{one}".encode()).decode(), file=stream)
    print("." * (1 << 18), vault[1], file=stream)
def everything():
    return " and ".join(vault)
"""

AGENT = (
    SHOUT
    + """
import subprocess
task, home = os.environ["MAESTRO_TASK_ID"], pathlib.Path(os.environ["MAESTRO_WORKSPACE_DIR"]).parent
shout(sys.stdout)
shout(sys.stderr)
for name in (".git-credentials", "client-config.json"):
    print((home / name).read_text())
for words in (everything(), json.dumps(vault)):
    subprocess.run([sys.executable, "-m", "maestro", "note", "-"], input=words, text=True, check=True)
report = {"status": "failed" if task == "b" else "done", "summary": f"did it with {everything()}",
          "notes": [one for one in vault], "discovered": [{"title": f"rotate {one}"} for one in vault]}
pathlib.Path(os.environ["MAESTRO_REPORT_FILE"]).write_text(json.dumps(report))
if task == "slow":
    while not pathlib.Path(sys.argv[2]).exists():
        time.sleep(0.02)
if task == "e":
    sys.exit(everything())
pathlib.Path(f"{task}.txt").write_text("work")
subprocess.run("git add -A && git commit -qm work", shell=True, check=True)
"""
)

GATE = (
    SHOUT
    + """
import re
from xml.sax.saxutils import escape, quoteattr
shout(sys.stdout)
bad = pathlib.Path("c.txt").exists()
said = escape(everything())
body = f"<failure message={quoteattr(everything())}>{said}</failure>" if bad else f"<system-out>{said}</system-out>"
path = re.search(r"--junitxml=(\\S+)", os.environ["PYTEST_ADDOPTS"])[1].strip("'")
case = '<testsuite name="t" tests="1" failures="%d"><testcase classname="t" name="one">%s</testcase></testsuite>'
pathlib.Path(path).write_text("<testsuites>%s</testsuites>" % (case % (bad, body)))
print("1 failed in 0.1s" if bad else "1 passed in 0.1s")
sys.exit(int(bad))
"""
)

SCRIPTS = (b"agent.py", b"gate.py", b"others.py")
OTHERS = SHOUT + "\nshout(sys.stdout); shout(sys.stderr); print(everything())\n"


@pytest.fixture
def stage(repo: Repository, tmp_path: Path) -> Stage:
    return Stage(repo, tmp_path)


class Stage:
    """A repository, and all that knows the secrets: outside of it, as a user's are."""

    def __init__(self, repo: Repository, folder: Path) -> None:
        self.repo = repo
        self.go = folder / "go"
        self.root = folder / "workspaces"
        self.seen = folder / "seen"
        self.vault = folder / "vault.json"
        self.vault.write_text(json.dumps(SECRETS))
        for name, text in {"agent": AGENT, "gate": GATE, "others": OTHERS}.items():
            (folder / f"{name}.py").write_text(text)
        (folder / "credentials").write_text(f"https://me:{IN_FILES['git']}@example.invalid\n")
        self.config = folder / "config.toml"
        self.config.write_text(
            f'git_credentials = "{folder / "credentials"}"\n'
            f'setup = ["{sys.executable} {folder / "others.py"} {self.vault}"]\n'
            f'refresh_command = "{sys.executable} {folder / "others.py"} {self.vault}"\n'
            'env_allow = ["PLANTED_API_KEY"]\n'
            f'workspace_root = "{self.root}"\n'
            "attempts = 1\n[mcp_servers.one]\ncommand = 'x'\n[mcp_servers.one.env]\n"
            f"SERVICE = '{IN_FILES['server']}'\n"
        )
        self._folder = folder

    def arguments(self, tasks: list[dict[str, Any]], *more: str) -> list[str]:
        file = self._folder / "tasks.json"
        file.write_text(json.dumps({"tasks": tasks}))
        agent, gate = (f"{sys.executable} {self._folder / name} {self.vault}" for name in ("agent.py", "gate.py"))
        return ["--config", str(self.config), "run", "--tasks-file", str(file), "--agent-command", f"{agent} {self.go}",
                "--test-command", gate, "--run-id", "r", "--max-parallel", "4", *more]  # fmt: skip

    def maestro(self, *arguments: str, **variables: str) -> Said:
        return maestro("--config", str(self.config), *arguments, cwd=self.repo.path, env=variables)

    @property
    def state(self) -> Path:
        return self.repo.path / ".flow"


def encodings(secret: str) -> list[bytes]:
    """Worked out here, and not by what is tried. What only looks like a secret is known as it is, and no further."""
    raw = secret.encode()
    if secret == IN_FILES["shape"]:
        return [raw]
    texts = [
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        quote(secret, safe=""),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        base64.b64encode(b"me:" + raw).decode(),
        raw.hex(),
        secret.replace("&", "&amp;").replace('"', "&quot;"),
    ]
    return [text.encode() for text in texts]


def leaks(data: bytes) -> list[str]:
    return [secret for secret in SECRETS if any(form in data for form in encodings(secret))]


def leaks_below(folder: Path) -> dict[str, list[str]]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path): found for path in files if (found := leaks(path.read_bytes()))}


class Watching(threading.Thread):
    """Reads the arguments of one process, and of all below it or in its workspaces, over and over.

    Each of the scripts goes on only when it has been seen: a look at /proc can take longer than a gate.
    """

    def __init__(self, pid: int, stage: Stage) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._root = str(stage.root).encode()
        self._marks = stage.seen
        self._over = threading.Event()
        self.seen: set[bytes] = set()

    def run(self) -> None:
        while not self._over.is_set():
            parents = {int(entry.name): _parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
            for pid in parents:
                if self._is_ours(pid, parents):
                    self._look_at(pid)
            time.sleep(0.005)

    def _look_at(self, pid: int) -> None:
        line = arguments_of_process(pid)
        self.seen.add(line)
        if any(name in line for name in SCRIPTS):  # and not what it was before it became one
            (self._marks / str(pid)).touch()

    def _is_ours(self, pid: int, parents: dict[int, int]) -> bool:
        above: int | None = pid
        while above is not None and above != self._pid:
            above = parents.get(above)
        return above == self._pid or self._root in _environment(pid)

    def end(self) -> None:
        self._over.set()
        self.join()
        shutil.rmtree(self._marks)


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


TASKS: list[dict[str, Any]] = [
    {"id": "a", "group": "G", "title": f"use {SECRETS[1]}", "description": f"{' '.join(SECRETS[:2])} ({SECRETS[0]})"},
    {"id": "b", "group": "G", "title": "reports failure"},
    {"id": "c", "group": "G", "title": "makes the tests fail"},
    {"id": "e", "group": "G", "title": "ends with an error"},
    {"id": "d", "title": f"comes later {SECRETS[0]}", "acceptance": SECRETS[1]},
]


def test_nothing_is_left_anywhere(stage: Stage) -> None:
    variables = {**os.environ, **VARIABLES}
    argv = command_line(*stage.arguments(TASKS, "--json", "--keep-going"))
    stage.seen.mkdir()
    process = subprocess.Popen(
        argv,
        cwd=stage.repo.path,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    watching = Watching(process.pid, stage)
    watching.start()
    try:
        out, err = process.communicate(timeout=100)
    finally:
        watching.end()

    result = json.loads(out)
    statuses = {task: one["status"] for task, one in result["tasks"].items()}
    assert statuses == {"a": "landed", "b": "failed", "c": "failed", "e": "failed", "d": "landed"}, err.decode()
    assert leaks(out) == []
    assert leaks(err) == []
    assert all(any(name in line for line in watching.seen) for name in SCRIPTS)
    assert leaks(b"\n".join(watching.seen)) == []
    assert leaks_below(stage.state) == {}
    assert leaks_below(stage.root) == {}
    runs = stage.state / "maestro" / "runs"
    for name, words in {  # they have all been there
        "attempts/a/1/stdout": rb"plain \*\*\* \*\*\*",
        "attempts/a/1/stderr": rb"PLANTED_API_KEY = \*\*\*",
        "attempts/a/1/prompt.md": rb"use \*\*\*",
        "attempts/a/1/report.json": rb"did it with \*\*\* and",
        "attempts/a/1/setup.log": rb"\*\*\* and \*\*\*",
        "attempts/e/1/stderr": rb"\*\*\* and \*\*\*",
        "gates/1/output": rb"plain \*\*\*",
        "gates/1/junit.xml": rb"\*\*\* and \*\*\*",
        "board.jsonl": rb"\*\*\* and \*\*\*",
        "journal.jsonl": rb"did it with \*\*\* and \*\*\*",
        "summary.json": rb"\*\*\*",
    }.items():
        assert re.search(words, (runs / "r" / name).read_bytes()), name
    log = stage.repo.git("log", "--format=%B", "integration/r")
    assert "did it with *** and ***" in log
    assert leaks(log.encode()) == []
    open_files = [str(path) for path in (runs, *(runs / "r").rglob("std*")) if path.stat().st_mode & 0o077]
    assert open_files == []


def test_nothing_is_shown_while_it_runs_or_afterwards(stage: Stage) -> None:
    """By a terminal that knows none of the variables: what the run was started with is hidden all the same."""
    argv = command_line(
        *stage.arguments([{"id": "slow", "group": "G", "title": SECRETS[1]}, {"id": "b", "group": "G"}])
    )
    process = subprocess.Popen(
        argv, cwd=stage.repo.path, env={**os.environ, **VARIABLES}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        report = stage.root / "r" / "task-slow" / ".agent-state" / "report.json"
        deadline = time.monotonic() + 60
        while not report.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        shown = _shown(stage, "slow")
        assert "***" in shown["logs slow"]
    finally:
        stage.go.touch()
        out, _ = process.communicate(timeout=60)
    shown |= {f"{name}, afterwards": text for name, text in _shown(stage, "slow").items()}
    shown["logs b"] = "".join(_texts(stage.maestro("logs", "b")))
    shown["run"] = out.decode()
    shown["an error"] = "".join(_texts(stage.maestro("status", "--run-id", SECRETS[1], HIDDEN_TOKEN=SECRETS[1])))

    assert {name: found for name, text in shown.items() if (found := leaks(text.encode()))} == {}
    assert "There is no run ***" in shown["an error"]
    assert leaks_below(stage.state) == {}


def _shown(stage: Stage, task: str) -> dict[str, str]:
    commands = [
        ("status",), ("status", "--run-id", "r", "--json"), ("status", "--group-id", "G", "--json"), ("list", "--json"),
        ("notes",), ("notes", "--json"), ("logs", task), ("logs", task, "--json", "--stderr"),
        ("logs", task, "--prompt"),
    ]  # fmt: skip
    shown = {" ".join(words): stage.maestro(*words) for words in commands}
    assert {name: said.err for name, said in shown.items() if said.code != 0} == {}
    return {name: "".join(_texts(said)) for name, said in shown.items()}


def _texts(said: Said) -> tuple[str, str]:
    return said.out, said.err


def test_a_script_s_group_leaves_none(stage: Stage) -> None:
    """`execute_parallel_group` keeps the tasks it is given in a file of its own."""
    agent = f"{sys.executable} {stage.config.parent / 'agent.py'} {stage.vault}"
    code = (
        "import json, sys; from maestro.coordinator import ParallelCoordinator\n"
        "tasks = json.loads(sys.argv[1])\n"
        "flags = {'agent_command': sys.argv[2], 'no_tests': True, 'git_credentials': sys.argv[3], 'attempts': 1,\n"
        "         'mcp_servers': {'one': {'command': 'x', 'env': {'SERVICE': sys.argv[4]}}},\n"
        "         'env_allow': ['PLANTED_API_KEY']}\n"
        "print(ParallelCoordinator().execute_parallel_group(tasks, 'G', flags=flags).to_json())"
    )
    given = (json.dumps(TASKS[:1]), agent, str(stage.config.parent / "credentials"), IN_FILES["server"])
    done = subprocess.run(
        [sys.executable, "-c", code, *given],
        cwd=stage.repo.path, env={**os.environ, **VARIABLES}, capture_output=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["status"] == "completed"
    assert leaks(done.stdout) == []
    assert leaks_below(stage.state) == {}


def test_a_run_that_is_gone_on_with_hides_what_a_dead_coordinator_has_not(stage: Stage) -> None:
    argv = command_line(*stage.arguments([{"id": "slow"}, {"id": "d", "dependencies": ["slow"], "title": SECRETS[1]}]))
    process = subprocess.Popen(
        argv, cwd=stage.repo.path, env={**os.environ, **VARIABLES}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    attempt = stage.state / "maestro" / "runs" / "r" / "attempts" / "slow" / "1"
    _until((stage.root / "r" / "task-slow" / ".agent-state" / "report.json").exists)
    process.kill()
    process.communicate()
    stage.go.touch()
    _until((attempt / "exit").exists)
    assert leaks((attempt / "stdout").read_bytes())  # it is the agent's own file, and nobody has looked yet
    assert (attempt / "stdout").stat().st_mode & 0o077 == 0

    said = stage.maestro("resume", "--json", **VARIABLES)

    assert said.statuses() == {"slow": "landed", "d": "landed"}, said.err
    assert leaks_below(stage.state) == {}
    assert leaks((said.out + said.err).encode()) == []


def test_cleaning_up_after_a_dead_run_hides_what_its_agents_printed(stage: Stage) -> None:
    argv = command_line(*stage.arguments([{"id": "slow"}]))
    process = subprocess.Popen(
        argv, cwd=stage.repo.path, env={**os.environ, **VARIABLES}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _until((stage.root / "r" / "task-slow" / ".agent-state" / "report.json").exists)
    process.kill()
    process.communicate()

    said = stage.maestro("cleanup-orphans", "--force", **VARIABLES)

    assert said.code == 0, said.err
    assert leaks_below(stage.state) == {}
    assert b"plain ***" in (stage.state / "maestro/runs/r/attempts/slow/1/stdout").read_bytes()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)

"""Where chaos.py takes place: a repository on a small disk, a dirty checkout, and bystanders that nobody may touch."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from arena import build_repository, clean_environment

DISK_MIB = 400
FLOOR_MIB = 96
"""No new workspace is made below; also what the agents' last commits and the journal still need."""


@dataclass
class Bystanders:
    """Processes, a branch, a worktree and a folder that are no part of any run."""

    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    refs: str = ""
    files: dict[str, str] = field(default_factory=dict)


class SmallDisk:
    """A tmpfs of limited size over a folder; `missing` says why there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "chaos", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.missing = "" if done.returncode == 0 else f"no tmpfs can be mounted: {done.stderr.strip()}"

    def fill(self) -> None:
        """Take all that is free, at once."""
        filler = self.folder / ".filler"
        block = bytes(1 << 20)
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(block)
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            while file.write(b"\0"):  # the last pages too
                pass

    def free(self) -> None:
        """Give it back."""
        (self.folder / ".filler").unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount; what is in it is gone."""
        if not self.missing:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False)


class Scene:
    """Everything below one folder; the diary of the agents and the bystanders' files stand beside the small disk."""

    def __init__(self, root: Path, tasks: int, files: int) -> None:
        self.root = root
        self.disk = SmallDisk(root / "disk")
        self.mark = uuid.uuid4().hex
        self.repository = self.disk.folder / "project"
        self.workspaces = self.disk.folder / "workspaces"
        self.diary = root / "diary.jsonl"
        self.diary.touch()
        self.env = clean_environment(root / "home") | {"CHAOS_MARK": self.mark}
        build_repository(self.repository, files, self.env)
        self._soil_checkout()
        self.base = self.git("rev-parse", "main").strip()
        self.bystanders = Bystanders()
        self._invite_bystanders()
        self.tasks_file = root / "tasks.json"
        self.tasks_file.write_text(json.dumps(backlog(tasks)))
        self.before = checkout_of(self.repository)

    def git(self, *args: str) -> str:
        """Output of git in the repository, with no lock taken that a run might need."""
        command = ["git", "--no-optional-locks", *args]
        done = subprocess.run(command, cwd=self.repository, env=self.env, capture_output=True, text=True, check=True)
        return done.stdout

    def _soil_checkout(self) -> None:
        """As a user leaves it: staged, changed, untracked, ignored, with odd names."""
        top = self.repository
        (top / "shared.txt").write_text("of all\n")
        (top / ".gitignore").write_text("*.ignored\n")
        self.git("add", "shared.txt", ".gitignore")
        self.git("commit", "-q", "-m", "Shared file")
        (top / "shared.txt").write_text("of all, and not yet committed\n")
        (top / "staged.txt").write_text("staged\n")
        self.git("add", "staged.txt")
        (top / "staged.txt").write_text("staged, and changed again\n")
        (top / "not tracked ü\n.txt").write_bytes(bytes(range(256)))
        (top / "kept.ignored").write_text("ignored\n")
        (top / "empty folder").mkdir()
        (top / "link").symlink_to("shared.txt")
        (top / "script.sh").write_text("#!/bin/sh\n")
        (top / "script.sh").chmod(0o755)

    def _invite_bystanders(self) -> None:
        there = self.bystanders
        plain = {"PATH": self.env["PATH"]}
        self._invite("unmarked", plain)
        self._invite("in the checkout", plain, cwd=self.repository)
        self._invite("marked by another maestro", plain | {"MAESTRO_ATTEMPT": "cafe0123/another-run/t1/1"})
        self._invite("with our run in its words", plain | {"NOTE": "MAESTRO_ATTEMPT=main/t1/1"}, name="main/t1/1")
        self.git("branch", "maestro/another-run/t1", "main")
        self.git("branch", "of-the-user", "main")
        mine = self.root / "my worktree"
        self.git("worktree", "add", "-q", str(mine), "of-the-user")
        (mine / "half.txt").write_text("half\n")
        folder = self.workspaces / "notes"
        folder.mkdir(parents=True)
        (folder / "mine.txt").write_text("mine\n")
        there.refs = self._refs()
        there.files = files_below(mine) | files_below(folder)

    def _invite(self, who: str, env: dict[str, str], *, cwd: Path | None = None, name: str = "sleep") -> None:
        sleep = [name, "100000"]
        program = "/bin/sleep"
        process = subprocess.Popen(sleep, executable=program, env=env, cwd=cwd or self.root, start_new_session=True)
        self.bystanders.processes[who] = process

    def _refs(self) -> str:
        wanted = ("refs/heads/main", "refs/heads/of-the-user", "refs/heads/maestro/another-run/t1")
        return self.git("for-each-ref", *wanted)

    def harmed(self) -> list[str]:
        """Bystanders that are not as they were."""
        said = [f"process {who}" for who, process in self.bystanders.processes.items() if process.poll() is not None]
        if self._refs() != self.bystanders.refs:
            said.append("branches of others")
        now = files_below(self.root / "my worktree") | files_below(self.workspaces / "notes")
        return said + [f"file {name}" for name in differences(self.bystanders.files, now)]

    def changed(self) -> list[str]:
        """What is not as it was in the user's checkout, byte by byte."""
        return differences(self.before, checkout_of(self.repository))

    def close(self) -> None:
        """End the bystanders, by their own ids, and whatever else this scene has started and left."""
        for process in self.bystanders.processes.values():
            process.kill()
            process.wait()
        for pid in self.ours():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.disk.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def ours(self, *runs: str) -> dict[int, str]:
        """Live processes of these coordinators and of their agents: pid → command line. Read here and not by maestro's
        own means: it is maestro that is tried."""
        return _with_variable(f"CHAOS_MARK={self.mark}", *(self._of_agents(run) for run in runs or ("",)))

    def agents(self, run: str) -> list[int]:
        """Live processes of the agents of a run."""
        return list(_with_variable(self._of_agents(run)))

    def _of_agents(self, run: str) -> str:
        return f"MAESTRO_WORKSPACE_DIR={self.workspaces / run}/"


def _with_variable(*beginnings: str) -> dict[int, str]:
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not entry.name.isdigit() or (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
            environ = (entry / "environ").read_bytes()
            if any(beginning.encode() in environ for beginning in beginnings):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(entry.name)] = words.decode(errors="replace").strip()
    return found


def backlog(tasks: int) -> list[dict[str, object]]:
    """A third of the tasks wait for another one; so failures would show."""
    names = [f"t{number:03d}" for number in range(tasks)]
    return [
        {
            "id": name,
            "title": f"Do {name}",
            "dependencies": [names[number - 7]] if number % 3 == 0 and number >= 7 else [],
        }
        for number, name in enumerate(names)
    ]


def checkout_of(repository: Path) -> dict[str, str]:
    """Everything in the checkout but maestro's own state; of .git what belongs to the checkout alone."""
    found = files_below(repository, leave_out=(".git", ".flow"))
    git = repository / ".git"
    for name in ("HEAD", "index", "config", "logs/HEAD", "refs/stash", "info/exclude", "ORIG_HEAD"):
        found[f".git/{name}"] = _digest(git / name)
    return found


def files_below(folder: Path, leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """Path → mode, size of time of change, and a digest of the content."""
    found: dict[str, str] = {}
    for parent, folders, names in os.walk(folder):
        if Path(parent) == folder:
            folders[:] = [name for name in folders if name not in leave_out]
        for name in [*folders, *names]:
            path = Path(parent) / name
            found[str(path.relative_to(folder))] = _digest(path)
    return found


def _digest(path: Path) -> str:
    try:
        seen = path.lstat()
    except OSError:
        return "nothing"
    if path.is_symlink():
        return f"link {path.readlink()}"
    if path.is_dir():
        return f"folder {seen.st_mode:o}"
    return f"{seen.st_mode:o} {seen.st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Names that are only in one of the two, or not the same."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def say(text: str) -> None:
    """To standard error, so that standard output is left to the figures."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

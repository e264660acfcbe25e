"""The fixture of the benchmarks: a repository with many files, on a file system whose own cost stays out of it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

LINES_PER_FILE = 40
FILES_PER_FOLDER = 50


def file_system_of(path: Path) -> str:
    """Type of the file system that holds a path, as the kernel names it."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _device, mount, this_kind, *_ = line.split()
        inside = path == Path(mount) or Path(mount) in path.parents
        if inside and len(mount) >= len(best):
            best, kind = mount, this_kind
    return kind


def default_location() -> Path:
    """/dev/shm where it is a tmpfs that can be written, else the temporary directory."""
    shared = Path("/dev/shm")
    if shared.is_dir() and os.access(shared, os.W_OK) and file_system_of(shared) == "tmpfs":
        return shared
    return Path(tempfile.gettempdir()).resolve()


def clean_environment(home: Path) -> dict[str, str]:
    """What every contender gets: its own HOME with an identity for git, and no setting of the caller's."""
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text("[user]\n\tname = Benchmark\n\temail = benchmark@example.invalid\n")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "MAESTRO_MACHINE_DIR": str(home / "machine"),  # leases of other runs on the machine are not its business
        "MAESTRO_MAX_LOAD": "0",  # what else the machine does would otherwise hold starts back
    }


def build_repository(path: Path, files: int, env: dict[str, str]) -> None:
    """A packed repository with `files` small source files in folders of fifty, one commit, branch main."""
    path.mkdir(parents=True)
    for number in range(files):
        folder = path / f"package_{number // FILES_PER_FOLDER:03d}"
        folder.mkdir(exist_ok=True)
        lines = "".join(f"value_{line} = {number * LINES_PER_FILE + line}\n" for line in range(LINES_PER_FILE))
        (folder / f"module_{number:05d}.py").write_text(lines)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Start"], ["repack", "-adq"]):
        subprocess.run(["git", *command], cwd=path, env=env, check=True)


def files_on(repository: Path, revision: str) -> set[str]:
    """Paths in the tree of a revision; none where it does not exist."""
    command = ["git", "ls-tree", "-r", "-z", "--name-only", revision]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    return set(done.stdout.split("\0"))

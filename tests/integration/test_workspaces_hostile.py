"""Whatever agents do, in any order and to any depth, the next task's workspace is like one that was never used.

Acts are drawn at random; a seed that fails fails again.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from maestro.errors import MaestroError
from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import GATE_BENCH, Workspace, WorkspaceSpec
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.registry import open_workspaces
from tests.integration.hostile_acts import ACTS, admin_of

KEEP = (".venv", "web/cache", "*.kept")


@pytest.fixture
def bases(repo: Repository) -> tuple[Repository, list[str]]:
    """Commits that differ in all ways a tree can differ; the last one in its attributes."""
    repo.write({".gitattributes": "*.dos text eol=crlf\n", "src/.gitattributes": "*.txt text\n", "a.dos": "one\ntwo\n"})
    repo.write({".editorconfig": "e\n", "src/.early": "e\n"})
    repo.write({"src/main.c": "int main;\n", "src/deep/er/x.txt": "x\n", "src/deep/y.txt": "y\n", "lib/z": "z\n"})
    repo.write({".gitignore": "*.log\nbuild/\n!n.kept\n", "run.sh": "true\n", "turns": "file\n", "sp ace/ü": "u\n"})
    repo.write({"new\nline": "n\n", "web/page": "p\n", "empty": "", "other/one": "1\n", "other/two": "2\n"})
    (repo.path / "run.sh").chmod(0o755)
    (repo.path / "link").symlink_to("src/main.c")
    repo.git("add", ".")
    repo.git("commit", "-qm", "one")
    commits = [repo.git("rev-parse", "HEAD")]
    commits.append(repo.commit({"src/main.c": "int longer;\n", "src/more": "m\n", "web/cached": "c\n"}))
    repo.git("rm", "-q", "turns", "lib/z", "link")
    commits.append(repo.commit({"turns/into": "folder\n", ".venv/tracked": "t\n", "link/to": "folder\n"}))
    repo.git("rm", "-q", "web/page", "web/cached", "turns/into")
    commits.append(repo.commit({"web": "a file now\n", "turns": "file again\n"}))
    commits.append(repo.commit({".gitattributes": "* -text\n"}))
    return repo, commits


def opened(repo: Repository, root: Path, kind: str, parked: int) -> Lifecycle:
    return open_workspaces(kind, git=open_repository(repo.path), root=root, parked=parked, keep=KEEP)


def spec_for(base: str, name: str = "t") -> WorkspaceSpec:
    return WorkspaceSpec(run_id="r1", task_id=name, task_name=name, attempt=1, base=base, branch=f"maestro/r1/{name}")


def git(workspace: Workspace, *args: str) -> bytes:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **workspace.env}
    env["MAESTRO_TEST_MARK"] = os.environ["MAESTRO_TEST_MARK"]
    return subprocess.run(["git", *args], cwd=workspace.repo, env=env, capture_output=True).stdout


def is_kept(path: str) -> bool:
    parts = path.split("/")
    return ".venv" in parts or parts[:2] == ["web", "cache"] or any(part.endswith(".kept") for part in parts)


def described(top: Path, *, files: bool) -> dict[str, object]:
    """What a look at each path tells, but for times and inodes."""
    found: dict[str, object] = {}
    for place, folders, names in os.walk(top):
        if files and ".git" in folders:
            folders.remove(".git")
        for name in (".", *folders, *names) if place == str(top) else (*folders, *names):
            path = Path(place) / name
            about, inside = path.lstat(), str(path.relative_to(top))
            what, links = b"", 1
            if stat.S_ISLNK(about.st_mode):
                what = os.fsencode(path.readlink())
            elif stat.S_ISREG(about.st_mode):
                is_index = not files and name in ("index", "maestro-index")
                what, links = b"" if is_index else path.read_bytes(), about.st_nlink - is_index
                what = b"" if "logs" in path.parts else what
            attributes = () if stat.S_ISLNK(about.st_mode) else tuple(os.listxattr(path))
            found[inside] = (stat.filemode(about.st_mode), links, about.st_uid, about.st_gid, attributes, what)
    return found


def portrait(workspace: Workspace) -> dict[str, object]:
    """All that the next agent can see, except what is kept on purpose."""
    admin, files = admin_of(workspace.repo), described(workspace.repo, files=True)
    own = {f"admin {path}": said for path, said in described(admin, files=False).items() if "objects" not in path}
    for asked in (
        "ls-files --stage -v", "status --porcelain=v2 -b", "config --list --show-origin", "diff HEAD",
        "rev-parse HEAD", "symbolic-ref HEAD", "ls-files --resolve-undo",
    ):  # fmt: skip
        own[asked] = git(workspace, *asked.split())
    own |= {f"beside {path.name}": path.read_bytes() for path in workspace.home.iterdir() if path.is_file()}
    return {name: _neutral(said, admin.name) for name, said in {**files, **own}.items()}


def _neutral(said: object, name: str) -> object:
    if isinstance(said, tuple):
        return tuple(_neutral(part, name) for part in said)
    return said.replace(f"worktrees/{name}".encode(), b"ADMIN") if isinstance(said, bytes) else said


def differing(new: dict[str, object], used: dict[str, object]) -> dict[str, tuple[object, object]]:
    return {
        name: (new.get(name), used.get(name)) for name in new.keys() | used.keys() if new.get(name) != used.get(name)
    }


class Trial:
    """One pool whose workspaces go from agent to agent, and new ones to hold them against."""

    def __init__(self, repo: Repository, commits: list[str], root: Path, kind: str) -> None:
        self.repo, self.commits, self.root, self.kind = repo, commits, root, kind
        self.pool = opened(repo, root, kind, 1)
        self.before = {path: path.read_bytes() for path in self._settings()}
        self.new = {commit: self._new(commit) for commit in commits}
        self.used_again = 0

    def round(self, rng: random.Random, inode: int | None) -> int:
        """One task: look at what it gets, then do harm."""
        base = rng.choice(self.commits)
        workspace = self.pool.create(spec_for(base))
        self.used_again += workspace.repo.stat().st_ino == inode
        differs = differing(self.new[base], portrait(workspace))
        differs = {name: both for name, both in differs.items() if name in self.new[base] or not is_kept(name)}
        assert not differs, differs
        admin, done = admin_of(workspace.repo), []
        for act in rng.choices(ACTS, k=rng.randrange(1, 6)):
            with suppress(OSError, ValueError, shutil.Error):
                act(rng, workspace.repo, admin)
            done.append(act.__name__)
        inode = workspace.repo.stat().st_ino if workspace.repo.exists() else 0
        with suppress(MaestroError):  # of what is broken too much
            self.pool.collect(workspace, "left over")
            self.pool.save(workspace, "r1", "t")
        self.pool.remove(workspace)
        self.tidy()
        print(done)  # seen where the next round fails
        return inode

    def tidy(self) -> None:
        """What agents of worktrees may do to the user's repository itself."""
        for path in self._settings():
            if path in self.before:
                path.write_bytes(self.before[path])
            else:
                path.unlink()
        for ref in self.repo.git("for-each-ref", "--format=%(refname)").splitlines():
            if ref != "refs/heads/main":
                self.repo.git("update-ref", "-d", ref)

    def _settings(self) -> list[Path]:
        git_dir = self.repo.path / ".git"
        return [path for path in (git_dir / "config", git_dir / "info" / "sparse-checkout") if path.exists()]

    def _new(self, base: str) -> dict[str, object]:
        workspaces = opened(self.repo, self.root, self.kind, 1)
        workspace = workspaces.create(spec_for(base))
        found = portrait(workspace)
        workspaces.remove(workspace)
        workspaces.close()
        self.tidy()
        return found


# seeds with which most workspaces are used again: after some acts none is
@pytest.mark.parametrize(("kind", "seed"), [("worktree", 11), ("worktree", 13), ("clone", 13), ("copy", 14)])
def test_nothing_of_an_agent_comes_to_the_next(
    kind: str, seed: int, bases: tuple[Repository, list[str]], tmp_path: Path
) -> None:
    rng, trial = random.Random(seed), Trial(*bases, tmp_path / "root", kind)
    inode = None
    for _ in range(12):
        inode = trial.round(rng, inode)
    trial.pool.close()
    assert trial.used_again > 2


def used_twice(bases: tuple[Repository, list[str]], root: Path, harm: str) -> tuple[bool, dict[str, object]]:
    """Whether the third task gets the files of the second, whose agent did harm, and what it sees that is not new."""
    repo, commits = bases
    new = opened(repo, root, "worktree", 1)
    first = new.create(spec_for(commits[0]))
    expected = portrait(first)
    new.remove(first)
    second = new.create(spec_for(commits[0]))
    (second.home / "harm").write_text(harm)
    done = subprocess.run(["sh", "-e", "../harm", str(admin_of(second.repo))], cwd=second.repo, capture_output=True)
    assert done.returncode == 0, done.stderr
    with (second.repo / "run.sh").open("rb") as held:  # so that its inode is nobody else's
        new.remove(second)
        third = new.create(spec_for(commits[0]))
        again = os.path.samestat(os.fstat(held.fileno()), (third.repo / "run.sh").stat())
    seen = differing(expected, portrait(third))
    new.remove(third)
    new.close()
    return again, seen  # type: ignore[return-value]


@pytest.mark.parametrize(
    "harm",
    [
        "printf '* text eol=crlf\\n' > .gitattributes; echo x > .editorconfig; rm link",
        "printf '* text eol=crlf\\n' > src/.gitattributes; echo x > src/.early",
        "rm .gitattributes; mkdir .gitattributes; echo x > .editorconfig",
        'ln "$1/commondir" ../../elsewhere; chmod 666 "$1/commondir" "$1/HEAD"; chmod 777 "$1"',
    ],
)
def test_what_looks_unchanged_is_made_anew(harm: str, bases: tuple[Repository, list[str]], tmp_path: Path) -> None:
    assert used_twice(bases, tmp_path / "root", harm) == (True, {})


@pytest.mark.parametrize(
    "harm",
    [
        'ln "$1/maestro-index" ../../elsewhere',
        'mv "$1/maestro-index" ../../elsewhere; ln -s "$PWD/../../elsewhere" "$1/maestro-index"',
        'chmod 666 "$1/maestro-index"',
    ],
)
def test_an_index_with_another_name_is_not_trusted(
    harm: str, bases: tuple[Repository, list[str]], tmp_path: Path
) -> None:
    assert used_twice(bases, tmp_path / "root", harm) == (False, {})


@pytest.mark.parametrize("path", ["src", ".", "run.sh"])
def test_attributes_of_files_and_folders_do_not_stay(
    path: str, bases: tuple[Repository, list[str]], tmp_path: Path
) -> None:
    try:
        os.setxattr(tmp_path, "user.known", b"1")
    except OSError:
        pytest.skip("a file system without extended attributes")
    os.removexattr(tmp_path, "user.known")
    mark = f'{sys.executable} -c \'import os; os.setxattr("{path}", "user.evil", b"1")\''
    assert used_twice(bases, tmp_path / "root", mark)[1] == {}


def test_changes_are_seen_though_git_is_told_not_to_look(bases: tuple[Repository, list[str]], tmp_path: Path) -> None:
    bases[0].git("config", "core.ignoreStat", "true")
    assert used_twice(bases, tmp_path / "root", "echo evil > src/main.c")[1] == {}


def test_settings_that_come_and_go_meanwhile_leave_nothing(bases: tuple[Repository, list[str]], tmp_path: Path) -> None:
    repo, commits = bases
    config = repo.path / ".git" / "config"
    (repo.path / ".git" / "info" / "attributes").write_text("a.dos filter=slow\n")
    repo.git("config", "filter.slow.smudge", f"git config -f '{config}' user.evil x; cat")
    before = config.read_bytes()
    pool = opened(repo, tmp_path / "root", "worktree", 1)
    first = pool.create(spec_for(commits[0]))
    assert config.read_bytes() != before
    config.write_bytes(before)
    pool.remove(first)
    assert not list((tmp_path / "root").iterdir())


def test_gates_get_nothing_that_an_agent_kept(bases: tuple[Repository, list[str]], tmp_path: Path) -> None:
    repo, commits = bases
    pool = opened(repo, tmp_path / "root", "worktree", 1)
    first = pool.create(spec_for(commits[0]))
    (first.repo / ".venv").mkdir()
    (first.repo / ".venv" / "conftest.py").write_text("evil\n")
    with (first.repo / "run.sh").open("rb") as held:
        pool.remove(first)
        bench = pool.create(spec_for(commits[0], GATE_BENCH))
        assert os.path.samestat(os.fstat(held.fileno()), (bench.repo / "run.sh").stat())
    assert not (bench.repo / ".venv").exists()
    pool.remove(bench)
    pool.close()

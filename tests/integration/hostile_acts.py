"""What a hostile or clumsy agent does to its workspace; each act gets the files and the git directory."""

from __future__ import annotations

import mmap
import os
import random
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

Act = Callable[[random.Random, Path, Path], None]

ODD = ("new", "-rf", " lead", "*", "a\nb", ":(top)x", "ü", "latin\udce9", "CON", "x.log", ".gitignore", "n.kept", "SRC")

ACTS: list[Act] = []


def act(function: Act) -> Act:
    ACTS.append(function)
    return function


def admin_of(repo: Path) -> Path:
    """The git directory that `.git` says."""
    link = repo / ".git"
    return link if link.is_dir() else Path(link.read_text().removeprefix("gitdir: ").rstrip("\n"))


def some_file(rng: random.Random, repo: Path) -> Path:
    """A file below, none of git's; OSError follows where there is none."""
    found = [Path(place) / name for place, _, names in os.walk(repo) if "/.git" not in place for name in names]
    found = sorted(path for path in found if stat.S_ISREG(path.lstat().st_mode) and path.name != ".git")
    return rng.choice(found) if found else repo / "nothing" / "at" / "all"


def some_folder(rng: random.Random, repo: Path) -> Path:
    """A folder below, perhaps the top."""
    return rng.choice(sorted(Path(place) for place, _, _ in os.walk(repo) if "/.git" not in place))


def some(rng: random.Random, repo: Path) -> Path:
    return rng.choice((some_file, some_folder))(rng, repo)


def same_times(path: Path, before: os.stat_result) -> None:
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def as_git(repo: Path, *args: str) -> None:
    """Git as the agent calls it, whether it likes it or not."""
    env = {name: os.environ[name] for name in ("PATH", "HOME", "MAESTRO_TEST_MARK")}
    env |= {"GIT_CONFIG_GLOBAL": str(repo.parent / ".gitconfig")}
    subprocess.run(["git", *args], cwd=repo, env=env, capture_output=True, check=False)


@act
def edit_unseen(rng: random.Random, repo: Path, admin: Path) -> None:
    path = some_file(rng, repo)
    before, text = path.stat(), path.read_bytes()
    path.write_bytes(text.swapcase())
    same_times(path, before)


@act
def write_through_memory(rng: random.Random, repo: Path, admin: Path) -> None:
    path = some_file(rng, repo)
    before = path.stat()
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0:1] = b"#"
    same_times(path, before)


@act
def append(rng: random.Random, repo: Path, admin: Path) -> None:
    with some_file(rng, repo).open("ab") as file:
        file.write(b"more\r\n")


@act
def change_mode(rng: random.Random, repo: Path, admin: Path) -> None:
    some_file(rng, repo).chmod(rng.choice((0o600, 0o777, 0o4755, 0o400, 0o640)))


@act
def change_mode_of_folder(rng: random.Random, repo: Path, admin: Path) -> None:
    some_folder(rng, repo).chmod(rng.choice((0o700, 0o777, 0o2755, 0o1777, 0o500)))


@act
def change_owner(rng: random.Random, repo: Path, admin: Path) -> None:
    path = some(rng, repo)
    other = rng.choice([*os.getgroups(), 4242 if os.getuid() == 0 else os.getgid()])
    os.chown(path, -1, other)


@act
def set_attribute(rng: random.Random, repo: Path, admin: Path) -> None:
    os.setxattr(some(rng, repo), "user.evil", b"1")


@act
def delete(rng: random.Random, repo: Path, admin: Path) -> None:
    some_file(rng, repo).unlink()


@act
def delete_folder(rng: random.Random, repo: Path, admin: Path) -> None:
    path = some_folder(rng, repo)
    if path != repo:
        shutil.rmtree(path)


@act
def replace_by_something_else(rng: random.Random, repo: Path, admin: Path) -> None:
    path = some(rng, repo)
    if path.resolve() == repo.resolve():
        return
    path.rename(repo.parent / f"moved-{rng.random()}")
    how = rng.randrange(5)
    if how == 0:
        os.mkfifo(path)
    elif how == 1:
        path.symlink_to(rng.choice(("/etc", "/etc/passwd", "nowhere", str(repo.parent / ".hooks"), ".")))
    elif how == 2:
        path.mkdir(mode=0o777)
        (path / "in").write_text("evil")
    elif how == 3:
        path.write_text("evil\n")


@act
def swap(rng: random.Random, repo: Path, admin: Path) -> None:
    one, other = some_file(rng, repo), some_file(rng, repo)
    aside = repo.parent / "swapped"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


@act
def folder_away_and_back(rng: random.Random, repo: Path, admin: Path) -> None:
    path = some_folder(rng, repo)
    if path != repo:
        aside = repo.parent / "aside"
        path.rename(aside)
        (aside / rng.choice(ODD)).write_text("evil")
        aside.rename(path)


@act
def folder_elsewhere(rng: random.Random, repo: Path, admin: Path) -> None:
    path = some_folder(rng, repo)
    if path != repo:
        aside = repo.parent / f"elsewhere-{rng.random()}"
        path.rename(aside)
        path.symlink_to(aside)


@act
def second_name(rng: random.Random, repo: Path, admin: Path) -> None:
    path, folder = some_file(rng, repo), rng.choice((repo / ".venv", repo.parent / "more", repo / "web" / "cache"))
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / f"hard-{rng.random()}"
    name.hardlink_to(path)
    with name.open("ab") as file:
        file.write(rng.choice((b"", b"evil")))


@act
def new_file(rng: random.Random, repo: Path, admin: Path) -> None:
    folder = some_folder(rng, repo)
    (folder / rng.choice(ODD)).write_text("evil\n")


@act
def new_folder(rng: random.Random, repo: Path, admin: Path) -> None:
    folder = some_folder(rng, repo) / rng.choice((*ODD, "build", ".venv", "web", "cache")) / "in"
    folder.mkdir(parents=True)
    (folder / rng.choice(ODD)).write_text("evil\n")
    folder.chmod(rng.choice((0o755, 0o000, 0o500)))


@act
def keep_something(rng: random.Random, repo: Path, admin: Path) -> None:
    folder = repo / rng.choice((".venv/bin", "web/cache", "src/.venv"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(rng.choice((0o755, 0o777)))
    (folder / "place").write_text(f"{repo}\n{admin}\n")
    (folder / "link").symlink_to(repo / "src")


@act
def other_attributes(rng: random.Random, repo: Path, admin: Path) -> None:
    (repo / rng.choice((".gitattributes", "src/.gitattributes", "lib/.gitattributes"))).write_text("* text eol=crlf\n")
    for path in (repo / ".editorconfig", repo / "src" / ".early", repo / "src" / "main.c", repo / "run.sh"):
        if rng.random() < 0.7:
            path.write_text("changed\n")


@act
def other_ignores(rng: random.Random, repo: Path, admin: Path) -> None:
    (repo / ".gitignore").write_text("*\n!.venv\n")


@act
def repository_in_it(rng: random.Random, repo: Path, admin: Path) -> None:
    folder = some_folder(rng, repo)
    if folder != repo and not (folder / ".git").exists():
        subprocess.run(["git", "init", "-q", folder], check=True, capture_output=True)


@act
def flags(rng: random.Random, repo: Path, admin: Path) -> None:
    path = some_file(rng, repo)
    for flag in rng.sample(("--assume-unchanged", "--skip-worktree", "--chmod=+x", "--force-remove"), 2):
        as_git(repo, "update-index", flag, str(path.relative_to(repo)))
    path.write_text("hidden\n")


@act
def use_git(rng: random.Random, repo: Path, admin: Path) -> None:
    commands = (
        "add -A", "add -N .", "commit -qam mine --allow-empty", "checkout -q --detach", "rm -rq --cached src",
        "stash -q", "update-index --index-version 4", "update-index --refresh", "reset -q --hard", "clean -ffdxq",
        "checkout -q -B other", "update-index --split-index", "sparse-checkout set src", "read-tree --empty",
        "merge --no-ff --no-commit other", "update-ref refs/worktree/mine HEAD", "symbolic-ref HEAD refs/heads/nothing",
    )  # fmt: skip
    as_git(repo, *rng.choice(commands).split())


@act
def git_directory(rng: random.Random, repo: Path, admin: Path) -> None:
    """A file of it still says what it said, and may be changed later through what is kept."""
    path, kept = admin / rng.choice(("commondir", "gitdir", "HEAD", "index", "maestro-index")), repo.parents[2] / "kept"
    kept.mkdir(exist_ok=True)
    how = rng.randrange(4)
    if how == 0:
        path.rename(kept / path.name)
        path.symlink_to(kept / path.name)
    elif how == 1:
        (kept / f"{path.name}-{rng.random()}").hardlink_to(path)
    elif how == 2:
        path.chmod(0o666)
    else:
        rng.choice((admin, path)).chmod(0o777)


@act
def settings(rng: random.Random, repo: Path, admin: Path) -> None:
    as_git(
        repo, "config", "--local", *rng.choice(("core.autocrlf true", "core.ignoreStat true", "user.evil x")).split()
    )


@act
def files_beside(rng: random.Random, repo: Path, admin: Path) -> None:
    home = repo.parent
    for name in (".gitignore", ".gitconfig", "env"):
        (home / name).unlink(missing_ok=True)
    (home / ".gitconfig").symlink_to(repo / "run.sh")
    (home / ".hooks" / "post-checkout").write_text("#!/bin/sh\necho evil\n")

"""The one door to git: builds every command line and environment, and raises one typed error.

All calls block; the engine makes them in threads. Output is bytes, parsed by `maestro.vcs.parse`.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from maestro.errors import BadInput, GitError
from maestro.proc import spawned
from maestro.vcs.commitdoor import CommitDoor, KindDoor, plain_commit
from maestro.vcs.diffdoor import RAW, DiffDoor, parted
from maestro.vcs.refdoor import RefDoor

MINIMUM = (2, 38)
"""`git merge-tree --write-tree` (M-1) came with 2.38."""

_ALWAYS = (
    "-c", "core.fsmonitor=false",  # a daemon started for us would outlive us
    "-c", "core.hooksPath=/dev/null",  # the user's hooks are for the user's own commands
    "-c", "commit.gpgSign=false",  # signing may prompt; nobody is there to answer
    "-c", "tag.gpgSign=false",
    "-c", "gc.auto=0",  # no background repack while workspaces are made and removed
    "-c", "maintenance.auto=false",
    "-c", "submodule.recurse=false",
    "-c", "core.quotePath=false",
    "-c", "advice.detachedHead=false",
    "-c", "i18n.commitEncoding=UTF-8",  # all that is written here: a commit that says otherwise would be misread
    "-c", "i18n.logOutputEncoding=UTF-8",  # as it is read here
)  # fmt: skip

COMPARES_ALL = {"core.trustctime": "true", "core.checkStat": "default", "core.ignoreStat": "false"}
"""Configuration by which git compares all that an index tells of a file, whatever the user or an agent chose."""

_STALE = re.compile(r"GIT_(?!(CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)|SSL_\w+|SSH\w*|ASKPASS|ALLOW_PROTOCOL|TRACE\w*)$)\w+")
"""GIT_* variables of a caller's hook (GIT_DIR, GIT_INDEX_FILE …) would point every call at the wrong repository."""

_OURS = (b"refs/heads/maestro/", b"refs/maestro/")

_HALF_MADE = re.compile(r"failed to read \S*worktrees/\S*/commondir")
"""Git 2.39 ends so when it lists the worktrees at the moment at which somebody, perhaps the user, adds one."""

_LOOKS_AGAIN = frozenset({("for-each-ref",), ("worktree", "list")})
"""Commands that list the worktrees and change nothing, so that they can simply be asked again …"""

_PAUSES_SECONDS = (0.005, 0.02, 0.1, 0.4)
"""… after so long each time; the moment itself is well below a millisecond."""


def clean_environment(parent: Mapping[str, str]) -> dict[str, str]:
    """The parent's environment without the variables that redirect git, and with messages in English."""
    env = {name: value for name, value in parent.items() if not _STALE.fullmatch(name)}
    env |= {"LC_ALL": "C.UTF-8", "LANGUAGE": "", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    return env


class _Readers(NamedTuple):
    """Kept processes that tell of objects: any worktree of the repository may ask them."""

    diffs: DiffDoor
    diffs_between: DiffDoor


class _Writers(NamedTuple):
    """Those that write to the repository, with the settings of one directory; and who knows what they may write of."""

    refs: RefDoor
    kinds: KindDoor
    commits: CommitDoor


class Git:
    """Git in one directory. `git_dir` and `work_tree`, when given, are used whatever `.git` in the directory says.

    `config` holds settings for every call, stronger than any configuration file; `common_dir` is that of the
    repository where it is known.
    """

    def __init__(
        self,
        directory: Path,
        *,
        git_dir: Path | None = None,
        work_tree: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float = 600.0,
        config: Mapping[str, str] | None = None,
        common_dir: Path | None = None,
        readers: _Readers | None = None,
        writers: _Writers | None = None,
    ) -> None:
        self.directory = directory
        self.config = dict(config or {})
        self._settings = tuple(part for key, value in self.config.items() for part in ("-c", f"{key}={value}"))
        self._explicit: tuple[str, ...] = ()
        if git_dir is not None:
            self._explicit += (f"--git-dir={git_dir}",)
        if work_tree is not None:
            self._explicit += (f"--work-tree={work_tree}",)
        self._env = clean_environment(os.environ if env is None else env)
        self._timeout_seconds = timeout_seconds
        self._common_dir = common_dir
        self._readers = readers or _Readers(DiffDoor(), DiffDoor())
        self._writers = writers or _Writers(RefDoor(), KindDoor(), CommitDoor())

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of every call."""
        return self._env

    def with_variables(self, variables: Mapping[str, str]) -> Git:
        """A door in the same directory, with more variables in the environment of every call."""
        return Git(
            self.directory,
            env={**self._env, **variables},
            timeout_seconds=self._timeout_seconds,
            config=self.config,
            common_dir=self._common_dir,
        )

    def at(
        self,
        directory: Path,
        *,
        git_dir: Path | None = None,
        work_tree: Path | None = None,
        config: Mapping[str, str] | None = None,
    ) -> Git:
        """The same door in another directory, with more settings on top of these."""
        is_here = directory == self.directory and git_dir is None and not self._explicit
        is_same = is_here or self._is_worktree(git_dir)
        return Git(
            directory,
            git_dir=git_dir,
            work_tree=work_tree,
            env=self._env,
            timeout_seconds=self._timeout_seconds,
            config={**self.config, **(config or {})},
            common_dir=self._common_dir if is_same else None,  # the same repository: it is not asked again
            readers=self._readers if is_same else None,
            writers=self._writers if is_here and not config else None,
        )

    def _is_worktree(self, git_dir: Path | None) -> bool:
        """Whether it is the git directory of a worktree of this repository, by where it is."""
        return git_dir is not None and self._common_dir is not None and git_dir.parent == self._common_dir / "worktrees"

    def run(
        self,
        *args: str,
        stdin: bytes | None = None,
        ok: Sequence[int] = (0,),
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `git args`; GitError unless the exit code is in `ok`. `env` is added for this call."""
        done = self._call(args, stdin, env)
        for pause in _PAUSES_SECONDS if _is_half_made(args, done) else ():
            time.sleep(pause)
            done = self._call(args, stdin, env)
            if not _is_half_made(args, done):
                break
        if done.returncode not in ok:
            said = done.stderr.decode("utf-8", "replace").strip() or done.stdout.decode("utf-8", "replace").strip()
            last = said.splitlines()[-1] if said else f"exit code {done.returncode}"
            raise GitError(f"git {args[0]} failed: {last}", output=said, returncode=done.returncode)
        return done

    def _call(
        self, args: Sequence[str], stdin: bytes | None, env: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[bytes]:
        if args[0] == "update-ref" and _is_ours(args, stdin):
            args = ("update-ref", "--no-deref", *args[1:])  # an agent may have made it stand for a branch of the user's
        argv = self._argv(args)
        try:
            env = {**self._env, **env} if env else self._env
            done = spawned.run(argv, env=env, stdin=stdin, timeout_seconds=self._timeout_seconds)
        except FileNotFoundError as error:
            raise _no_git() from error
        except subprocess.TimeoutExpired as error:
            raise GitError(f"git {args[0]} did not end within {self._timeout_seconds:g} s") from error
        if done.returncode == 128 and done.stderr.startswith(b"fatal: cannot change to "):
            why = "cannot be entered" if self.directory.is_dir() else "does not exist"
            raise GitError(f"the directory {self.directory} {why}")
        return done

    def _argv(self, args: Sequence[str]) -> list[str]:
        program, here = _executable(self._env.get("PATH")), str(self.directory)
        return [program, "-C", here, *self._explicit, *_ALWAYS, *self._settings, *args]

    def text(
        self,
        *args: str,
        stdin: bytes | None = None,
        ok: Sequence[int] = (0,),
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Standard output as text, without the newline at its end."""
        done = self.run(*args, stdin=stdin, ok=ok, env=env)
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def succeeds(self, *args: str) -> bool:
        """Whether the command says yes (0) or no (1); anything else is an error."""
        return self.run(*args, ok=(0, 1)).returncode == 0

    def common_dir(self) -> Path:
        """The git directory that all worktrees of the repository share; asked for once."""
        if self._common_dir is None:
            said = self.run("rev-parse", "--path-format=absolute", "--git-common-dir").stdout
            self._common_dir = Path(os.fsdecode(said.removesuffix(b"\n")))
        return self._common_dir

    def commit_of(self, revision: str) -> str | None:
        """Full commit id of a revision, None where there is none."""
        done = self.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", ok=(0, 1, 128)
        )
        return done.stdout.decode().strip() or None if done.returncode == 0 else None

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether every commit of `ancestor` is in `descendant`."""
        return self.succeeds("merge-base", "--is-ancestor", ancestor, descendant)

    @contextmanager
    def kept_processes(self) -> Iterator[None]:
        """While it lasts, `move_ref`, `commit`, `changes_of` and `changes_between` need no process of their own, here
        and at every door made of this one by `at`: the first two for the same directory with the same settings, the
        others in every worktree of the repository, since its objects are the same."""
        argv = self._argv(())
        with ExitStack() as opened:
            for door in (*self._readers, *self._writers):
                opened.enter_context(door.opened(argv, self._env, self._timeout_seconds))
            yield

    def commit(self, tree: str, parents: Sequence[str], message: bytes, env: Mapping[str, str]) -> str:
        """The id of a commit made as `commit-tree` makes it; `env` says by whom (`GIT_AUTHOR_NAME` …)."""
        _, kinds, commits = self._writers
        plain = plain_commit(tree, parents, message, {**self._env, **env}) if commits.is_open else None
        if plain is not None and kinds.are(tree, parents) and (written := commits.write(plain)):
            return written
        args = [arg for parent in parents for arg in ("-p", parent)]
        return self.text("commit-tree", tree, *args, stdin=message, env=env)

    def changes_of(self, commit: str) -> tuple[str, bytes]:
        """The ids of a commit's parents with a space between, and what it changed against the only one, as
        `diff-tree -r -z --raw` prints it: nothing where it has none or several."""
        if (known := self._readers.diffs.changes(commit)) is not None:
            return known
        _, parents, diff = parted(self.run(*DiffDoor.alone, commit, "--").stdout)
        return parents, diff

    def changes_between(self, old: str, new: str, env: Mapping[str, str] | None = None) -> bytes:
        """What differs between two commits, printed the same way. `env` is added where a process is called."""
        if (known := self._readers.diffs_between.changes(new, old)) is not None:
            return known[1]
        return self.run("diff-tree", *RAW, old, new, "--", env=env).stdout

    def set_ref(self, ref: str, new: str, expected: str | None) -> bool:
        """Compare-and-swap of a ref (`expected` None: must not exist yet); False when somebody else moved it."""
        try:
            self.move_ref(ref, new, expected)
        except GitError as error:
            # said by refs/files-backend.c when the old value does not match or the lock is taken
            if "cannot lock ref" in error.output:
                return False
            raise
        return True

    def move_ref(self, ref: str, new: str, expected: str | None) -> None:
        """The same, with what git says as a GitError when somebody else moved it."""
        if not self._writers.refs.move(ref, new, expected, follows=not _is_ours((ref,), None)):
            self.run("update-ref", "-m", "maestro", ref, new, expected or "")


def _is_ours(args: Sequence[str], stdin: bytes | None) -> bool:
    """Whether all refs that are named are maestro's own."""
    words = [os.fsencode(word) for word in args] + re.split(rb"[\0\s]", stdin or b"")
    refs = [word for word in words if word.startswith(b"refs/") or word == b"HEAD"]
    return bool(refs) and all(ref.startswith(_OURS) for ref in refs)


def _is_half_made(args: Sequence[str], done: subprocess.CompletedProcess[bytes]) -> bool:
    if done.returncode == 0 or not _LOOKS_AGAIN & {tuple(args[:1]), tuple(args[:2])}:
        return False
    return _HALF_MADE.search(done.stderr.decode("utf-8", "replace")) is not None


@functools.cache
def _executable(path: str | None) -> str:
    """Where git is, looked up once: a bare name costs a failed exec for every folder of PATH before the right one."""
    found = shutil.which("git", path=path)
    if found is None:
        raise _no_git()
    return found


def _no_git() -> BadInput:
    return BadInput("git was not found on PATH", hint="install git 2.38 or newer")


def require_version() -> tuple[int, ...]:
    """The version of git on PATH; BadInput when it is missing or too old."""
    executable = shutil.which("git")
    if executable is None:
        raise _no_git()
    said = _version_of(executable)
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    version = tuple(int(part) for part in match.groups() if part) if match else (0, 0)
    if version[:2] < MINIMUM:
        raise BadInput(
            f"git {'.'.join(map(str, version))} is too old: maestro needs 2.38 or newer",
            hint="landing without a checkout uses `git merge-tree --write-tree`, which came with git 2.38",
        )
    return version


@functools.cache
def _version_of(executable: str) -> str:
    """What it says of itself; asked once."""
    return subprocess.run([executable, "version"], capture_output=True, text=True, check=False).stdout


def open_repository(directory: Path, env: Mapping[str, str] | None = None) -> Git:
    """Git at the top of the checkout that holds `directory`; BadInput outside a repository or without a commit."""
    git = Git(directory, env=env)
    done = git.run("rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir", ok=(0, 128))
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace")
        if "dubious ownership" in said:
            raise BadInput(
                f"{directory} belongs to another user, so git refuses to use it",
                hint=f"git config --global --add safe.directory {directory}",
            )
        if "must be run in a work tree" in said:
            raise BadInput(f"{directory} holds no files of its repository", hint="run maestro in a checkout of it")
        raise BadInput(f"{directory} is not inside a git repository", hint="run maestro in a checkout, or use -C DIR")
    lines = done.stdout.removesuffix(b"\n").split(b"\n")
    if len(lines) != 2:  # a name with a line end in it: asked one by one
        return git.at(Path(os.fsdecode(git.run("rev-parse", "--show-toplevel").stdout.removesuffix(b"\n"))))
    return Git(Path(os.fsdecode(lines[0])), env=env, common_dir=Path(os.fsdecode(lines[1])))

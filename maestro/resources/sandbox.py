"""The optional sandbox (I-6): bubblewrap around every process of an attempt or a gate.

The system can be read, the workspace written; HOME, the user's checkout, the workspaces of siblings and whatever else
may hold secrets are empty folders. /tmp is the attempt's own, the network is shared. bubblewrap dies with the shell
that waits for the command, and all processes inside die with bubblewrap: so an agent outlives the coordinator as
without a sandbox, and no process outlives the attempt. Only the processes inside carry the marker: signals of the stop
ladder reach the agent, not bubblewrap, which would end all at once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from maestro.errors import BadInput, MaestroError, WorkspaceError
from maestro.proc.capture import capture
from maestro.proc.request import MARKER, ProcessRequest
from maestro.resources.base import Need, Provided
from maestro.resources.caches import Caches
from maestro.resources.checkouts import borrowed_objects, git_folders, unpin
from maestro.resources.homes import Homes, make_folder, make_private_home, private_home
from maestro.resources.mounts import Mounts
from maestro.resources.tools import certificate_files, system_folders, tool_folders

_OWN = ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent")
_SYSTEM = ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
_HIDDEN = ("/home", "/root", "/run")
_LOGS = "logs"
_TEMPORARY = {"tmp": "/tmp", "var-tmp": "/var/tmp"}
_INSIDE = """\
trap : INT TERM HUP
( exec /usr/bin/env "$@" )
code=$?
others() { set -- /proc/[0-9]*; [ $# -gt 2 ]; }
wait_for_others() { left=$1; while others && [ "$left" -gt 0 ]; do sleep 0.05; left=$((left - 1)); done; }
case $code in 130 | 143) wait_for_others 100 ;; esac
others && kill -TERM -1 2>/dev/null && wait_for_others 40
exit $code
"""
"""Around the command, inside: when it has ended all others there are killed at once, so they are told to end before,
and where it was stopped have some time to do so by themselves. `env` says 127 of a command that does not exist."""

_INSTALL = 'install it (apt-get install bubblewrap), or set sandbox = "none"'


@dataclass(frozen=True)
class AgentFiles:
    """What an agent keeps below the user's HOME, relative to it."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()  # files only: a refreshed login must reach the user, or both lose it
    copy: tuple[str, ...] = ()  # each attempt gets one, and what it changes in it is lost
    moved: Mapping[str, str] = field(
        default_factory=dict
    )  # beginning of such a path → variable that says where that is


@dataclass(frozen=True)
class Ground:
    """The run that is worked for."""

    checkout: Path
    common_dir: Path | None  # git directory of the user's repository
    root: Path  # where its workspaces stand
    run_id: str
    environ: Mapping[str, str]
    symlinked: tuple[str, ...] = ()  # folders of the checkout that workspaces link to
    shared: Callable[[Need], tuple[Path, ...]] = lambda _: ()  # of maestro's own, which agents write through commands
    known: tuple[Path, ...] = ()  # of maestro's own, which such commands read
    installed: tuple[Path, ...] = ()  # maestro itself, and its Python
    read: tuple[Path, ...] = ()  # by configuration
    write: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Bubblewrap:
    """A `Provision`; the last, for it wraps the command that the others left."""

    ground: Ground
    homes: Homes
    caches: Caches
    executable: str
    agent_files: Mapping[str, AgentFiles] = field(default_factory=dict)

    def take(self, need: Need) -> Provided:
        try:
            for name in (*_TEMPORARY, _LOGS):
                (_temporary(need) / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            mounts = self._mounts(need)
        except OSError as error:
            raise WorkspaceError(f"its sandbox cannot be made: {error.filename}: {error.strerror}") from error
        return Provided({"TMPDIR": "/tmp"}, partial(self._wrapped, need, mounts))

    def give_back(self, need: Need) -> None:
        with suppress(OSError):
            unpin(need.repo)
        with suppress(OSError):
            shutil.rmtree(_temporary(need))

    def _mounts(self, need: Need) -> Mounts:
        ground, mounts = self.ground, Mounts()
        home = Path(ground.environ["HOME"])
        mounts.hide(*map(Path, _HIDDEN), home, ground.checkout, ground.root)
        for name, place in _TEMPORARY.items():
            mounts.put(_temporary(need) / name, Path(place))
        mounts.read(*system_folders(), *tool_folders(ground.environ, (home, ground.checkout, ground.root)))
        mounts.read(*ground.installed, *certificate_files(ground.environ), *ground.known)
        mounts.read(*(path for pattern in ground.symlinked for path in ground.checkout.glob(pattern.rstrip("/"))))
        if ground.common_dir is not None:
            mounts.read(ground.common_dir, *borrowed_objects(ground.common_dir))
        self._put_home(need, home, mounts)
        mounts.read(*ground.read)
        mounts.write(*self.caches.shared_folders(need), *ground.shared(need), *ground.write)
        self._put_workspace(need, mounts)
        for link in mounts.links_in(need.home):  # bubblewrap makes there what others are put over
            raise WorkspaceError(f"{link} was put there by an agent, as a link")
        return mounts

    def _put_home(self, need: Need, home: Path, mounts: Mounts) -> None:
        """HOME as configured. The user's is a private one in its place, with what the agent needs of the user's."""
        folder = self.homes.folder(need)
        if folder is not None:
            mounts.write(folder)
            return
        mounts.put(make_private_home(need), home)
        files = self.agent_files.get(need.agent or "", AgentFiles())
        for name in files.copy:
            source, copied = home / name, private_home(need) / name
            if source.is_file() and not os.path.lexists(copied):
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copied)
        places = self._moved(need, files, mounts)
        mounts.read(*(_place(home, name, places) for name in files.read))
        mounts.write(*(_place(home, name, places) for name in files.write))

    def _moved(self, need: Need, files: AgentFiles, mounts: Mounts) -> dict[str, Path]:
        """Folders that the user keeps elsewhere; in their place, too, the agent gets one of its own."""
        found = {}
        for number, (start, variable) in enumerate(files.moved.items()):
            folder = Path(self.ground.environ.get(variable, ""))
            if folder.is_absolute() and folder.is_dir():
                own = private_home(need) / ".moved" / str(number)
                make_folder(own.parent, own)
                mounts.put(own, folder)
                found[start] = folder
        return found

    def _put_workspace(self, need: Need, mounts: Mounts) -> None:
        """Its files, and what git needs; the files of maestro beside them are only read."""
        ground = self.ground
        branches = f"maestro/{ground.run_id}"
        git = git_folders(need.repo, ground.common_dir, branches)
        if ground.common_dir is not None and (need.repo / ".git").is_file():
            # logs of branches are its own: git outside would follow a link that stands in their place
            logs = ground.common_dir / "logs/refs/heads" / branches
            logs.mkdir(parents=True, exist_ok=True)
            mounts.put(_temporary(need) / _LOGS, logs)
        mounts.read(need.home)
        mounts.write(*git.write, need.home / ".agent-state")
        mounts.read(*git.read)
        for folder in (private_home(need), need.home / ".agent-caches"):
            mounts.write(folder)

    def _wrapped(self, need: Need, mounts: Mounts, request: ProcessRequest) -> ProcessRequest:
        marker = request.env[MARKER]
        if need.agent is None:  # a gate: its report goes beside its output, which it must not replace by a link
            report = request.stdout_file.parent / "junit.xml"
            report.touch(mode=0o600)
            mounts = mounts.copy()
            mounts.write(report)
        argv = (
            "/usr/bin/env", "-u", MARKER, self.executable, *_OWN, *_SYSTEM, *mounts.arguments(),
            "--chdir", str(request.cwd), "--", "/bin/sh", "-c", _INSIDE, "maestro", f"{MARKER}={marker}", *request.argv,
        )  # fmt: skip
        return request.evolve(argv=argv)


def _place(home: Path, name: str, moved: Mapping[str, Path]) -> Path:
    return next((folder / name[len(start) :] for start, folder in moved.items() if name.startswith(start)), home / name)


def _temporary(need: Need) -> Path:
    return need.home / ".agent-tmp"


def find_bubblewrap(environ: Mapping[str, str]) -> str:
    """The program, tried as an attempt will use it. BadInput where there is none, or the kernel does not let it."""
    found = shutil.which("bwrap", path=environ.get("PATH"))
    if found is None:
        raise BadInput('sandbox = "bubblewrap", and there is no bwrap on PATH', hint=_INSTALL)
    home = environ.get("HOME", "")
    if not Path(home).is_absolute() or Path(home).resolve() == Path("/"):
        raise BadInput(f"HOME is {home!r}, which a sandbox cannot hide", hint="set HOME to a folder of your own")
    try:
        said = capture((found, *_OWN, *_SYSTEM, "--tmpfs", "/run", "--remount-ro", "/run", "--", "/bin/true"))
    except MaestroError as error:
        raise BadInput(f"bwrap cannot be started: {error.message}", hint=_INSTALL) from error
    if said.code != 0:
        words = said.stderr.decode(errors="replace").strip().splitlines()
        raise BadInput(
            f"bwrap can make no sandbox here: {words[-1] if words else f'exit code {said.code}'}",
            hint='the kernel, or the container around us, forbids namespaces; allow them, or set sandbox = "none"',
        )
    return found

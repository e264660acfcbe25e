"""HOME, caches and the sandbox of attempts and gates (I-6), from the settings; refuses what cannot work."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import maestro
from maestro.config.settings import Settings
from maestro.errors import BadInput, GitError
from maestro.model.offer import DELEGATE
from maestro.proc.roles import GATE
from maestro.resources.homes import PRIVATE, USER, Homes, without_places
from maestro.resources.locks.base import Scope
from maestro.resources.locks.place import folder_of, main_checkout
from maestro.store.layout import Layout
from maestro.store.machine import machine_path
from maestro.vcs.git import Git

if TYPE_CHECKING:
    from maestro.resources.base import Need, Provision
    from maestro.resources.sandbox import Ground

WITHOUT_ITS_OWN = "danger-full-access"
"""The mode of codex that leaves the sandbox to us: its own needs folders writable that ours does not give."""

_NOWHERE = "/dev/null"
"""As HOME: nothing can be below it."""


def check_surroundings(settings: Settings, environ: Mapping[str, str]) -> None:
    """BadInput for a home that is no folder, and for a sandbox that cannot be made or would keep nothing."""
    for policy in (settings.home, *_homes_by_agent(settings).values()):
        if isinstance(policy, Path) and not policy.is_dir():
            raise BadInput(f"home: {policy} is no folder", hint="make it, or choose `user` or `private`")
    if settings.sandbox == "none":
        return
    if settings.agent == DELEGATE:
        raise BadInput(
            "the subagents of a session cannot be put into a sandbox: they are the session's own processes",
            hint='set sandbox = "none", or choose an agent that maestro starts',
        )
    if settings.workspace == "none":
        raise BadInput(
            "a sandbox keeps agents out of your checkout, and --workspace none has them work there",
            hint='choose another kind of workspace, or set sandbox = "none"',
        )
    if (
        settings.agent == "codex"
        and settings.agents.get("codex", {}).get("sandbox", WITHOUT_ITS_OWN) != WITHOUT_ITS_OWN
    ):
        raise BadInput(
            "codex's own sandbox does not work inside of another",
            hint="leave `sandbox` in [agents.codex] out: maestro's allows less",
        )
    from maestro.resources.sandbox import find_bubblewrap  # none is wanted by default

    find_bubblewrap(environ)


def surroundings_of(
    settings: Settings, *, git: Git, layout: Layout, run_id: str, root: Path, environ: Mapping[str, str]
) -> tuple[Provision, ...]:
    """What is configured, in the order in which it is taken; the sandbox is the last. Nothing is started."""
    if settings.agent == DELEGATE:
        return ()
    homes = _homes(settings, environ)
    sandboxed = settings.sandbox != "none"
    provisions: list[Provision] = []
    if settings.home != USER or homes.by_agent:
        provisions.append(homes)
    if not provisions and not sandboxed and PRIVATE not in settings.caches.values():
        return ()
    from maestro.resources.caches import Caches  # not where all is the user's own

    chosen: dict[str, str] = dict(settings.caches.items())
    caches = Caches(environ, homes, chosen, sandboxed)
    provisions.append(caches)
    if sandboxed:
        from maestro.resources.sandbox import Bubblewrap, find_bubblewrap
        from maestro.wiring.agentfiles import AGENT_FILES

        ground = _ground(settings, git, layout, run_id, root, environ)
        provisions.append(Bubblewrap(ground, homes, caches, find_bubblewrap(environ), AGENT_FILES))
    return tuple(provisions)


def environment_of_agent(settings: Settings, agent: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The user's variables as that agent will find its own files by them: to look for its login."""
    policy = _homes(settings, environ).policy(agent)
    if policy == USER:
        return dict(environ)
    return {**without_places(environ, environ), "HOME": _NOWHERE if policy == PRIVATE else str(policy)}


def _homes(settings: Settings, environ: Mapping[str, str]) -> Homes:
    return Homes(environ, settings.home, _homes_by_agent(settings))


def _homes_by_agent(settings: Settings) -> dict[str, str | Path]:
    """`home` in [agents.<name>]: USER, PRIVATE or a folder."""
    found: dict[str, str | Path] = {}
    for agent, options in settings.agents.items():
        if "home" not in options:
            continue
        named = options["home"]
        if not isinstance(named, str) or not named:
            raise BadInput(f"option 'home' of the agent {agent!r} must be user, private or a path, not {named!r:.80}")
        if named in (USER, PRIVATE):
            found[agent] = named
        elif not (path := Path(named).expanduser()).is_absolute():
            raise BadInput(f"option 'home' of the agent {agent!r}: {named} is no absolute path")
        else:
            found[agent] = path
    return found


def _ground(
    settings: Settings, git: Git, layout: Layout, run_id: str, root: Path, environ: Mapping[str, str]
) -> Ground:
    from maestro.resources.sandbox import Ground

    checkout = git.directory
    try:
        common_dir = git.common_dir()
    except GitError:
        common_dir = None  # a folder that is no repository: its workspaces are copies
    known = (
        *(checkout / name for name in (".git", "pyproject.toml", "cto-config.json")),
        layout.config,
        layout.journal(run_id),
        layout.locks / "live",
        Layout(main_checkout(checkout)).locks / ".gitignore",
        machine_path(environ) / "ports",
    )
    return Ground(
        checkout=checkout,
        common_dir=common_dir,
        root=root,
        run_id=run_id,
        environ=environ,
        symlinked=settings.symlink,
        shared=lambda need: _shared(layout, run_id, need, environ),
        known=known,
        installed=(Path(sys.prefix), Path(sys.base_prefix), Path(maestro.__file__).parent),
        read=(*_files_named(settings.agents.get(settings.agent)), *settings.sandbox_read),
        write=settings.sandbox_write,
    )


def _files_named(value: object) -> Iterator[Path]:
    """Files and folders that options of an agent name: its program, a file of settings."""
    if isinstance(value, str) and value.startswith(("/", "~/")):
        yield Path(value).expanduser()
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _files_named(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _files_named(one)


def _shared(layout: Layout, run_id: str, need: Need, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """What `maestro lock` and `maestro note` write, called from inside; made, for only what exists can be shown."""
    folders = [folder_of(scope, layout.repository, run_id, environ) for scope in Scope]
    *_, name, number = need.marker.split("/")
    if name != GATE and number.isdigit():
        folders.append(layout.attempt(run_id, name, int(number)) / "tests")
    board = layout.board(run_id)
    files = [board, board.with_suffix(".lock")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        file.touch(mode=0o600)
    return (*folders, *files)

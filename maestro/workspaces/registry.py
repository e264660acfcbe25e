"""The kinds of workspaces by name (W-1). One is imported when it is chosen: most runs have one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from maestro.errors import BadInput
from maestro.vcs.git import Git
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.setup import SetupSpec
from maestro.workspaces.site import Site, survey


def _worktree(site: Site) -> Lifecycle:
    from maestro.workspaces.worktree import WorktreeWorkspaces

    return WorktreeWorkspaces(site)


def _clone(site: Site) -> Lifecycle:
    from maestro.workspaces.clone import CloneWorkspaces

    return CloneWorkspaces(site)


def _copy(site: Site) -> Lifecycle:
    from maestro.workspaces.copy import CopyWorkspaces

    return CopyWorkspaces(site)


def _none(site: Site) -> Lifecycle:
    from maestro.workspaces.none import InPlace

    return InPlace(site)


KINDS: dict[str, Callable[[Site], Lifecycle]] = {
    "worktree": _worktree,
    "clone": _clone,
    "copy": _copy,
    "none": _none,
}


def open_workspaces(
    kind: str,
    *,
    git: Git,
    root: Path,
    setup: SetupSpec | None = None,
    client_servers: Mapping[str, object] | None = None,
    credentials: str | None = None,
    parked: int = 0,
    keep: Sequence[str] = (),
    configured: Mapping[str, str] | None = None,
) -> Lifecycle:
    """Workspaces of one kind below `root`, for the repository whose checkout `git` is at the top of.

    `client_servers` is the `mcpServers` of client-config.json, `credentials` the text of .git-credentials.
    At most `parked` removed ones are kept, emptied but for what `keep` names, to be handed out again until `close` (not
    the kind none). BadInput for an unknown kind, a root that cannot be used, and a pattern that names nothing.
    """
    try:
        make = KINDS[kind]
    except KeyError:
        raise BadInput(f"unknown kind of workspace {kind!r}", hint=f"one of {', '.join(KINDS)}") from None
    return make(
        survey(
            git,
            root,
            setup=setup,
            client_servers=client_servers,
            credentials=credentials,
            parked=parked,
            keep=keep,
            configured=configured,
        )
    )

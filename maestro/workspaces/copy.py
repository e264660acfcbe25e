"""Copies: the files and one commit, nothing borrowed and nothing linked, so the folder can be moved or mounted alone.

The one commit is the base itself, fetched without what came before it (a shallow repository). So the agent's
commits stand on the true base, and come home as they are, without being rewritten.
"""

from __future__ import annotations

from maestro.workspaces.clone import CloneWorkspaces
from maestro.workspaces.site import Site


class CopyWorkspaces(CloneWorkspaces):
    """A copy per task."""

    kind = "copy"
    depth = 1

    def __init__(self, site: Site) -> None:
        super().__init__(site, borrow=False)

    def _remote(self) -> bytes:
        return b""  # a copy knows of no other repository

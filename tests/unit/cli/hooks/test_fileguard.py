"""The file guard: inside the workspace anything, outside of it nothing, with the path to use instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.cli.hooks.fileguard import Fence, refuse_write

FENCE = Fence(Path("/ws/task-a/shop"), Path("/home/me/shop"))
IN_PLACE = Fence(Path("/home/me/shop"), Path("/home/me/shop"))


@pytest.mark.parametrize("path", ["/ws/task-a/shop/a.py", "/ws/task-a/shop/deep/er/b.py", "/ws/task-a/shop"])
def test_the_own_workspace_may_be_written(path: str) -> None:
    assert refuse_write(Path(path), FENCE) is None


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/home/me/shop/a.py", "/ws/task-a/shop/a.py"),
        ("/home/me/shop/src/deep/b.py", "/ws/task-a/shop/src/deep/b.py"),
        ("/ws/task-b/shop/a.py", "/ws/task-a/shop/a.py"),
        ("/ws/task-a/shop-2/a.py", "/ws/task-a/shop/a.py"),
        ("/etc/passwd", "/ws/task-a/shop/passwd"),
    ],
)
def test_elsewhere_is_refused_with_the_path_to_use(path: str, instead: str) -> None:
    why = refuse_write(Path(path), FENCE)
    assert why is not None
    assert f"{path} is outside of it: write to {instead} instead" in why


def test_in_place_the_checkout_is_the_workspace() -> None:
    assert refuse_write(Path("/home/me/shop/a.py"), IN_PLACE) is None
    assert refuse_write(Path("/home/me/other/a.py"), IN_PLACE) is not None
    assert not IN_PLACE.is_foreign(Path("/home/me/other/a.py")), "what lies beside is no workspace of another task"

"""The file that makes a folder a workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.errors import WorkspaceError
from maestro.workspaces.marker import MARKER_FILE, Marker, decode_path, encode_path, read_marker, write_marker


@pytest.mark.parametrize("path", ["/a b/c", "/ünï/\n", "/latin\udce9/x", "/hex/y"])
def test_any_path_survives_json(path: str) -> None:
    assert decode_path(encode_path(Path(path))) == Path(path)
    encode_path(Path(path)).encode()


def test_written_and_read_back(tmp_path: Path) -> None:
    marker = Marker(
        kind="clone", run_id="r", task_id="a/b", task_name="a-b__1", attempt=2, base="b", branch="x",
        common_dir=encode_path(Path("/p\udce9/.git")), repo="/w/p",
    )  # fmt: skip
    write_marker(tmp_path, marker)
    assert read_marker(tmp_path) == marker


def test_none_and_unreadable_are_told_apart(tmp_path: Path) -> None:
    assert read_marker(tmp_path) is None
    assert read_marker(tmp_path / "missing") is None
    for rubbish in (b"", b"{}", b"\xff", b'{"kind": "worktree", "more": 1}'):
        (tmp_path / MARKER_FILE).write_bytes(rubbish)
        with pytest.raises(WorkspaceError, match="cannot be read"):
            read_marker(tmp_path)

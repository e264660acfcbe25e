"""The second in which an index was written is that of its whole nanoseconds."""

from __future__ import annotations

import os
from pathlib import Path

from maestro.workspaces.index import read_index

SECOND = 1_700_000_000


def test_the_last_moment_of_a_second_is_of_that_second(tmp_path: Path) -> None:
    """As a float it would be the next one, and a file of the second would not be young."""
    index = tmp_path / "index"
    stat = b"".join(n.to_bytes(4, "big") for n in (SECOND, 5, SECOND, 5, 1, 7, 0o100644, 0, 0, 1))
    entry = stat + bytes(20) + (1).to_bytes(2, "big") + b"f"
    index.write_bytes(b"DIRC" + (2).to_bytes(4, "big") + (1).to_bytes(4, "big") + entry + b"\0" + bytes(20))
    os.utime(index, ns=(0, SECOND * 1_000_000_000 + 999_999_950))

    found = read_index(index, 20)

    assert found is not None
    assert found.young == {b"f": (7, SECOND * 1_000_000_000 + 5)}

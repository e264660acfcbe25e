"""The folder that all runs of a user on one machine share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maestro.errors import BadInput, StateError
from maestro.store.machine import VARIABLE, check_machine_folder, machine_folder, machine_path


def test_it_is_the_same_whatever_home_and_tmpdir_are() -> None:
    expected = Path(f"/tmp/maestro-{os.getuid()}")
    assert machine_path({}) == expected
    assert machine_path({"HOME": "/elsewhere", "TMPDIR": "/var/tmp", "XDG_RUNTIME_DIR": "/run/user/1"}) == expected
    assert machine_path({VARIABLE: ""}) == expected


def test_it_is_made_for_its_user_alone(tmp_path: Path) -> None:
    named = tmp_path / "deep" / "down"
    before = os.umask(0)
    try:
        assert machine_folder({VARIABLE: str(named)}) == named
    finally:
        os.umask(before)
    assert named.stat().st_mode & 0o777 == 0o700
    assert machine_folder({VARIABLE: str(named)}) == named  # again


@pytest.mark.parametrize(("kind", "said"), [("link", "is a link"), ("file", "cannot be made"), ("open", "by others")])
def test_one_that_cannot_be_trusted_is_refused(tmp_path: Path, kind: str, said: str) -> None:
    named = tmp_path / "machine"
    if kind == "link":
        (tmp_path / "real").mkdir()
        named.symlink_to(tmp_path / "real")
    elif kind == "file":
        named.write_text("")
    else:
        named.mkdir()
        named.chmod(0o770)
    for ask in (machine_folder, check_machine_folder):
        with pytest.raises(StateError, match=said) as refused:
            ask({VARIABLE: str(named)})
        assert VARIABLE in refused.value.hint


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_one_of_another_user_is_refused(tmp_path: Path) -> None:
    named = tmp_path / "machine"
    named.mkdir(0o700)
    os.chown(named, 12345, 12345)
    with pytest.raises(StateError, match=r"belongs to another user \(uid 12345\)"):
        machine_folder({VARIABLE: str(named)})


def test_a_look_makes_nothing(tmp_path: Path) -> None:
    named = tmp_path / "machine"
    assert check_machine_folder({VARIABLE: str(named)}) == named
    assert not named.exists()


def test_a_relative_one_is_refused() -> None:
    with pytest.raises(BadInput, match="no absolute path"):
        machine_folder({VARIABLE: "here"})

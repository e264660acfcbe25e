"""Parsers of NUL-separated output, on bytes that git 2.39 printed."""

from __future__ import annotations

import json
import os

import pytest

from maestro.vcs.parse import (
    RawChange,
    StatusEntry,
    TreeEntry,
    fields,
    parse_config,
    parse_name_status,
    parse_raw_diff,
    parse_refs,
    parse_status,
    parse_tree,
    parse_worktrees,
    printable,
    text_of,
)

A = "78981922613b2afb6025042ff6bd878ac1994e85"
B = "422c2b7ab3b3c668038da977e4e93a5fc623169c"
Z = "0" * 40

STATUS = (
    b"# branch.oid 1f6c6c1a0d4e0b7d7f8a2f3f6dba6f8c1b5e0a11\0# branch.head main\0"
    b"# branch.upstream origin/main\0# branch.ab +1 -0\0"
    b"1 .M N... 100644 100644 100644 " + A.encode() + b" " + A.encode() + b" with space and\nnewline\0"
    b"1 .M SC.U 160000 160000 160000 " + A.encode() + b" " + A.encode() + b" lib\0"
    b"2 R. N... 100644 100644 100644 " + A.encode() + b" " + A.encode() + b' R100 new name\0old "name"\0'
    b"u UU N... 100644 100644 100644 100644 " + A.encode() + b" " + B.encode() + b" " + A.encode() + b" both sides\0"
    b"? latin\xe9\0? nested repo/\0! ignored.log\0"
)  # fmt: skip


def test_status() -> None:
    status = parse_status(STATUS)
    assert status.oid == "1f6c6c1a0d4e0b7d7f8a2f3f6dba6f8c1b5e0a11"
    assert status.branch == "main"
    assert [(entry.kind, entry.path) for entry in status.entries] == [
        ("1", "with space and\nnewline"),
        ("1", "lib"),
        ("2", "new name"),
        ("u", "both sides"),
        ("?", "latin\udce9"),
        ("?", "nested repo/"),
        ("!", "ignored.log"),
    ]
    assert status.entries[0] == StatusEntry(
        "1", "with space and\nnewline", ".M", "N...", f"100644 100644 100644 {A} {A}"
    )
    assert status.entries[1].submodule == "SC.U"
    assert status.entries[2].original == 'old "name"'
    assert [entry.path for entry in status.entries if entry.is_nested_repository] == ["nested repo/"]


def test_status_of_an_unborn_and_of_a_detached_head() -> None:
    assert parse_status(b"# branch.oid (initial)\0# branch.head main\0").oid is None
    assert parse_status(b"# branch.oid abc\0# branch.head (detached)\0").branch is None
    assert parse_status(b"").entries == ()


def test_a_line_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="not a line"):
        parse_status(b" M file\0")


def test_raw_diff() -> None:
    data = (
        f":100644 000000 {A} {Z} D\0gone\0:000000 160000 {Z} {B} A\0li\nb\0:100644 100755 {A} {A} R096\0old\0new\0"
    ).encode()
    assert parse_raw_diff(data) == (
        RawChange("100644", "000000", A, Z, "D", "gone"),
        RawChange("000000", "160000", Z, B, "A", "li\nb"),
        RawChange("100644", "100755", A, A, "R096", "new", "old"),
    )


def test_name_status() -> None:
    assert parse_name_status(b"M\0a b\0R100\0old\0new\xff\0D\0-x\0") == (
        ("M", "a b"),
        ("R100", "new\udcff"),
        ("D", "-x"),
    )


def test_worktrees() -> None:
    data = (
        f"worktree /home/u/pro\nject\0HEAD {A}\0branch refs/heads/main\0\0"
        f"worktree /w/task-1/project\0HEAD {B}\0detached\0locked by hand\0\0"
        f"worktree /w/gone\0HEAD {B}\0branch refs/heads/maestro/r/t\0prunable gitdir file points to nothing\0\0"
        "worktree /w/bare.git\0bare\0\0"
    ).encode()
    main, locked, gone, bare = parse_worktrees(data)
    assert (main.path, main.head, main.branch) == ("/home/u/pro\nject", A, "refs/heads/main")
    assert (locked.branch, locked.locked, locked.prunable) == (None, True, False)
    assert (gone.branch, gone.prunable) == ("refs/heads/maestro/r/t", True)
    assert bare.bare


def test_tree() -> None:
    data = f"100644 blob {A}\ta\tb\n\x00160000 commit {B}\tlib\x00100755 blob {A}      12\trun.sh\0".encode()
    entries = parse_tree(data)
    assert entries[:2] == (TreeEntry("100644", "blob", A, "a\tb\n"), TreeEntry("160000", "commit", B, "lib"))
    assert entries[2].path == "run.sh"


def test_refs_may_hold_what_python_takes_for_the_end_of_a_line() -> None:
    assert parse_refs(f"{A} refs/heads/a\u2028b\n{B} refs/heads/c\n".encode()) == {
        "refs/heads/a\u2028b": A,
        "refs/heads/c": B,
    }


def test_config() -> None:
    data = b"global\0user.name\nAda\nLovelace\0local\0core.bare\0local\0submodule.a=b.path\nx=y\0"
    assert parse_config(data) == (
        ("global", "user.name", "Ada\nLovelace"),
        ("local", "core.bare", "true"),
        ("local", "submodule.a=b.path", "x=y"),
    )


def test_paths_survive_the_way_back_and_can_be_shown() -> None:
    raw = b"caf\xe9 \xc3\xa9\n"
    assert os.fsencode(text_of(raw)) == raw
    assert printable(text_of(raw)) == "caf\\xe9 é\n"
    json.dumps(printable(text_of(raw))).encode()
    assert fields(b"a\0\0b\0") == ["a", "", "b"]
    assert fields(b"") == []

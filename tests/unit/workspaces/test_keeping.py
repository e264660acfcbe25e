"""Patterns of what stays in a workspace mean what they mean to git's ignore files."""

from __future__ import annotations

import pytest

from maestro.workspaces.keeping import Keep


@pytest.mark.parametrize(
    ("pattern", "path", "named"),
    [
        (".venv", b".venv", True),
        (".venv", b"a/.venv/lib/x", True),
        (".venv/", b"a/.venv", True),
        (".venv", b".venv2", False),
        (".venv", b"x.venv", False),
        ("**/node_modules", b"web/node_modules", True),
        ("/deps", b"deps/x", True),
        ("/deps", b"a/deps", False),
        ("a/b", b"a/b/c", True),
        ("a/b", b"c/a/b", False),
        ("a/*/b", b"a/x/b", True),
        ("a/*/b", b"a/x/y/b", False),
        ("*.cache", b"x/y.cache", True),
        ("v[0-9]", b"v7", True),
        ("v[!0-9]", b"v7", False),
        ("v[", b"v[", True),
        ("a.c", b"abc", False),
        ("caf\u00e9", "caf\u00e9".encode(), True),
    ],
)
def test_what_a_pattern_names(pattern: str, path: bytes, named: bool) -> None:
    assert Keep([pattern]).names(path) is named


def test_only_paths_from_the_top_lead_through_folders() -> None:
    keep = Keep(["node_modules", "build/*/deps", "/top"])
    assert keep.leads_through(b"build")
    assert keep.leads_through(b"build/debug")
    assert not keep.leads_through(b"build/debug/deps")
    assert not keep.leads_through(b"src")
    assert keep.is_exact(b"build/debug/deps")
    assert not keep.is_exact(b"node_modules")
    assert keep.lines == ("node_modules", "/build/*/deps", "/top")


def test_nothing_is_kept_without_patterns() -> None:
    assert not Keep(())
    assert not Keep(()).names(b".venv")

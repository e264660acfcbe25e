"""Globs over paths that are only text."""

from __future__ import annotations

import pytest

from maestro.planning.globs import PathIndex, compile_glob, is_glob, sample_path

MATCHES = [
    ("src/*.py", "src/a.py", True),
    ("src/*.py", "src/sub/a.py", False),
    ("src/**", "src/sub/a.py", True),
    ("src/**/a.py", "src/a.py", True),
    ("src/**/a.py", "src/x/y/a.py", True),
    ("**/a.py", "a.py", True),
    ("*.py", "deep/down/a.py", True),
    ("*.py", "a.pyc", False),
    ("src/?.py", "src/ab.py", False),
    ("src/{api,web}/*.ts", "src/web/x.ts", True),
    ("src/{api,web}/*.ts", "src/db/x.ts", False),
    ("src/{*.ts,x.js}", "src/a.ts", True),
    ("app/[id]/page.tsx", "app/[id]/page.tsx", True),
    ("app/[id]/page.tsx", "app/i/page.tsx", True),
    ("src/[!a].py", "src/b.py", True),
    ("src/[!a].py", "src/a.py", False),
    ("a.b+c(d)|e*", "a.b+c(d)|e1", True),
    ("a\n*", "a\nb", True),
    ("src/{a,b", "src/{a,b", True),
    ("src/[a", "src/[a", True),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), MATCHES)
def test_what_a_glob_matches(pattern: str, path: str, expected: bool) -> None:
    expression = compile_glob(pattern)
    assert expression is not None
    assert bool(expression.fullmatch(path)) is expected
    assert (path in PathIndex([path, "other"]).matching(pattern)) is expected


@pytest.mark.parametrize("pattern", ["src/[z-a].py", "x/[[:bad]"])
def test_a_malformed_glob_matches_nothing_and_breaks_nothing(pattern: str) -> None:
    assert PathIndex(["src/b.py"]).matching(pattern) == []


@pytest.mark.parametrize("pattern", ["src/**/x?.{py,pyi}", "*", "**", "**/a", "a/**", "app/[id]/*.tsx"])
def test_a_sample_is_matched_by_its_own_glob(pattern: str) -> None:
    expression = compile_glob(pattern)
    assert expression is not None
    assert expression.fullmatch(sample_path(pattern))
    assert is_glob(pattern)


def test_folders_are_told_from_files() -> None:
    index = PathIndex(["src/a.py", "src2/b.py"])
    assert index.has_folder("src")
    assert not index.has_folder("sr")
    assert not index.has_folder("src/a.py")

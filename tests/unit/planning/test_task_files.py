"""Which files a task would write (P-6)."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.model.task import Task
from maestro.planning.files import declared_files, files_of, named_files, normalise

REPOSITORY = frozenset(
    {"src/a.py", "src/b.py", "Makefile", "run", "README.md", "app/[id]/page.tsx", "docs/my notes.md", "a.py"}
)


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ("src/a.py", "src/a.py"),
        (" ./src//a.py ", "src/a.py"),
        ("`src/a.py`", "src/a.py"),
        ("/src/a.py", "src/a.py"),
        ("src\\a.py", "src/a.py"),
        ("src/x/../a.py", "src/a.py"),
        ("docs/", "docs/**"),
        (".", "**"),
        ({"path": "src/a.py", "why": "parser"}, "src/a.py"),
        ("", None),
        ("../other/a.py", None),
        ("a\0b", None),
        (7, None),
        (None, None),
        ({"size": 1}, None),
    ],
)
def test_paths_are_those_of_git(entry: object, path: str | None) -> None:
    assert normalise(entry) == path


@pytest.mark.parametrize(
    "context",
    [
        {"owned_files": ["src/a.py", "src/b.py"]},
        {"ownedFiles": "src/a.py, src/b.py"},
        {"touches": ["src/a.py", None, "src/b.py", "src/a.py"]},
        {"metadata": {"owned_files": "src/a.py\nsrc/b.py"}},
        {"files": [{"path": "src/a.py"}, {"file": "src/b.py"}]},
        {"owned_files": ["src/a.py"], "metadata": {"touches": ["src/b.py"]}},
    ],
)
def test_owned_files_may_come_in_the_context(context: dict[str, Any]) -> None:
    assert declared_files(Task(id="t", context=context)) == ("src/a.py", "src/b.py")


@pytest.mark.parametrize("context", [{"metadata": "text"}, {"files": 7}, {"touches": None}, {"files": {"a": 1}}])
def test_other_shapes_in_the_context_declare_nothing(context: dict[str, Any]) -> None:
    assert declared_files(Task(id="t", context=context)) == ()


TABLE = """Intro names src/zzz.py only.

## Relevant Files

| # | File | Purpose |
|---|:----:|---------|
| 1 | `src/a.py` | parser of x.y |
| 2 | src/b.py, Makefile | build |

Closing words about src/other.py
- src/late.py
"""
LIST = """**Owned files:**
- `src/a.py` - the parser, uses `os.path`
- [ ] src/b.py: the writer
1. Makefile
- N/A

# Notes
- src/late.py
"""
INLINE = "Do it.\nOwned Files: src/a.py, src/b.py, Makefile"
TICKED = "owned files: `src/a.py`, src/b.py, `Makefile` (all of it)"


@pytest.mark.parametrize("description", [TABLE, LIST, INLINE, TICKED])
def test_files_listed_under_their_heading(description: str) -> None:
    assert declared_files(Task(id="t", description=description)) == ("src/a.py", "src/b.py", "Makefile")


def test_words_about_relevant_files_are_no_heading() -> None:
    assert declared_files(Task(id="t", description="All relevant files must be formatted\n- src/a.py")) == ()


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("Fix src/a.py.", ("src/a.py",)),
        ("Fix (src/a.py), then ./src/b.py:12:3!", ("src/a.py", "src/b.py")),
        ("See [it](src/a.py#L3-L9)", ("src/a.py",)),
        ("Update the Makefile", ("Makefile",)),
        ("run the tests", ()),
        ("Change `run`", ("run",)),
        ('Change "docs/my notes.md"', ("docs/my notes.md",)),
        ("Edit app/[id]/page.tsx", ("app/[id]/page.tsx",)),
        ("old/src/a.py and src/a.pyc", ()),
        ("https://example.org/src/a.py", ()),
        ("Create src/new.py", ()),
        ("src/a.py|src/b.py", ("src/a.py", "src/b.py")),
    ],
)
def test_files_named_in_the_text_count_where_they_exist(text: str, files: tuple[str, ...]) -> None:
    assert named_files(Task(id="t", title=text), REPOSITORY) == files
    assert named_files(Task(id="t", description=text), REPOSITORY) == files
    assert named_files(Task(id="t", title=text), ()) == ()


def test_what_is_declared_beats_what_is_named() -> None:
    task = Task(id="t", title="Fix src/a.py", files=("src/b.py",))
    assert files_of(task, REPOSITORY) == ("src/b.py",)

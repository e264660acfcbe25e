"""Bytes captured from git 2.39.5, `merge-tree --write-tree -z --messages --name-only o t`."""

from __future__ import annotations

import pytest

from maestro.errors import GitError
from maestro.integration.conflicts import Merged, parse_merge_tree
from maestro.model.conflict import Conflict

TREE = b"3f3b3368df18dbfe64a5ffc9c85739ef0e75885c"


def parse(stdout: bytes, returncode: int = 1) -> Merged | Conflict:
    return parse_merge_tree(stdout, returncode, ours="o", theirs="t", base="b")


@pytest.mark.parametrize(
    "stdout",
    [TREE + b"\0\0", TREE + b"\0\x001\0a\0Auto-merging\0Auto-merging a\n\0"],
    ids=["silent", "auto-merged"],
)
def test_a_clean_merge_is_its_tree(stdout: bytes) -> None:
    assert parse(stdout, 0) == Merged(tree=TREE.decode())


CASES = {
    "content": (
        (
            b"a.py\0\x001\0a.py\0Auto-merging\0Auto-merging a.py\n"
            b"\x001\0a.py\0CONFLICT (contents)\0CONFLICT (content): Merge conflict in a.py\n\0"
        ),
        ("a.py",),
        ("CONFLICT (content): Merge conflict in a.py",),
    ),
    "add/add": (
        (
            b"n\0\x001\0n\0Auto-merging\0Auto-merging n\n"
            b"\x001\0n\0CONFLICT (contents)\0CONFLICT (add/add): Merge conflict in n\n\0"
        ),
        ("n",),
        ("CONFLICT (add/add): Merge conflict in n",),
    ),
    "modify/delete": (
        (
            b"a\0\x001\0a\0CONFLICT (modify/delete)\0CONFLICT (modify/delete): a deleted in t and modified in o.  "
            b"Version o of a left in tree.\n\0"
        ),
        ("a",),
        ("CONFLICT (modify/delete): a deleted in t and modified in o.  Version o of a left in tree.",),
    ),
    "rename/rename": (
        (
            b"a\0b\0c\0\x003\0a\0b\0c\0CONFLICT (rename/rename)\0"
            b"CONFLICT (rename/rename): a renamed to b in o and to c in t.\n\0"
        ),
        ("a", "b", "c"),
        ("CONFLICT (rename/rename): a renamed to b in o and to c in t.",),
    ),
    "file/directory": (
        (
            b"n~o\0\x002\0n~o\0n\0CONFLICT (file/directory)\0"
            b"CONFLICT (file/directory): directory in the way of n from o; moving it to n~o instead.\n\0"
        ),
        ("n",),
        ("CONFLICT (file/directory): directory in the way of n from o; moving it to n~o instead.",),
    ),
    "binary": (
        (
            b"b\0\x001\0b\0CONFLICT (binary)\0warning: Cannot merge binary files: b (o vs. t)\n"
            b"\x001\0b\0Auto-merging\0Auto-merging b\n"
            b"\x001\0b\0CONFLICT (contents)\0CONFLICT (content): Merge conflict in b\n\0"
        ),
        ("b",),
        ("warning: Cannot merge binary files: b (o vs. t)", "CONFLICT (content): Merge conflict in b"),
    ),
    "odd names": (
        (
            b' sp \xc3\xa9\0caf\xe9\0new\nline\0qu"ote\0\x001\0new\nline\0Auto-merging\0Auto-merging new\nline\n'
            b"\x001\0new\nline\0CONFLICT (contents)\0CONFLICT (add/add): Merge conflict in new\nline\n\0"
        ),
        (" sp é", "caf\\xe9", "new\nline", 'qu"ote'),
        ("CONFLICT (add/add): Merge conflict in new\nline",),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_conflict_names_its_paths_and_gits_words(case: tuple[bytes, tuple[str, ...], tuple[str, ...]]) -> None:
    rest, paths, messages = case
    conflict = parse(TREE + b"\0" + rest)
    assert conflict == Conflict(paths=paths, ours="o", theirs="t", base="b", messages=messages)


def test_a_conflict_with_odd_bytes_can_be_written_as_json() -> None:
    conflict = parse(TREE + b"\0caf\xe9\0\x001\0caf\xe9\0CONFLICT (contents)\0CONFLICT: caf\xe9\n\0")
    assert Conflict.model_validate_json(conflict.model_dump_json()) == conflict


@pytest.mark.parametrize(("stdout", "returncode"), [(b"", 1), (b"", 0), (TREE + b"\0\0", 2)])
def test_what_git_does_not_document_is_an_error(stdout: bytes, returncode: int) -> None:
    with pytest.raises(GitError):
        parse(stdout, returncode)

"""Histories of every kind for tests that ask git about commits, made by one `git fast-import` each."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterable
from typing import NamedTuple

from maestro.testing.repository import Repository

NAMES = (
    b"a", b"folder/b", b"folder/sub/c", b"\xff\xfe latin", b"line\nend", b":colon", b":(glob)*", b"tab\t", b'"quoted"',
    b"back\\slash", b" blank ", b"-dash", b"\x01", "für".encode(), "\u2028".encode(), b"long/" + b"x" * 250,
    b".gitattributes", b"deep/" * 40 + b"d",
)  # fmt: skip
"""File names that somebody may take for something else."""


class Made(NamedTuple):
    """One commit: its parents, by their place among all, and its changes, as fast-import reads them."""

    parents: tuple[int, ...] = ()
    changes: tuple[bytes, ...] = ()
    message: bytes = b"change"


def file(name: bytes, content: bytes = b"x", mode: bytes = b"100644") -> bytes:
    return b"M %s inline %s\ndata %d\n%s" % (mode, _quoted(name), len(content), content)


def gitlink(name: bytes, commit: str) -> bytes:
    return b"M 160000 %s %s" % (commit.encode(), _quoted(name))


def gone(name: bytes) -> bytes:
    return b"D " + _quoted(name)


def _quoted(name: bytes) -> bytes:
    return b'"' + b"".join(b"\\%03o" % byte for byte in name) + b'"'


def make(repo: Repository, several: Iterable[Made]) -> list[str]:
    """Their ids, in the same order. The checkout is as it was."""
    several, lines = list(several), []
    for number, one in enumerate(several, 1):
        lines += [b"commit refs/made/%d" % number, b"mark :%d" % number, b"committer A <a@example.invalid> 1 +0000"]
        lines += [b"data %d\n%s" % (len(one.message), one.message)]
        lines += [b"%s :%d" % (b"merge" if at else b"from", parent + 1) for at, parent in enumerate(one.parents)]
        lines += [*one.changes, b""]
    marks = repo.path / ".git" / "marks"
    argv = ["git", "fast-import", "--quiet", f"--export-marks={marks}"]
    subprocess.run(argv, cwd=repo.path, input=b"\n".join(lines), check=True)
    ids = dict(line.split() for line in marks.read_text().splitlines())
    return [ids[f":{number + 1}"] for number in range(len(several))]


def every_kind(repo: Repository) -> dict[str, str]:
    """One commit of each kind, by what it is."""
    link = "1" * 40 if repo.git("rev-parse", "--show-object-format") == "sha1" else "1" * 64
    all_names = tuple(file(name, b"odd") for name in NAMES)
    kinds = {
        "root": Made((), (file(b"a"), file(b"b"))),
        "usual": Made((0,), (file(b"a", b"other"),)),
        "removal": Made((0,), (gone(b"a"),)),
        "all removed": Made((0,), (gone(b"a"), gone(b"b"))),
        "rename": Made((0,), (b"R a c",)),
        "copy": Made((0,), (b"C a c",)),
        "empty": Made((0,)),
        "mode": Made((0,), (file(b"a", mode=b"100755"),)),
        "symlink": Made((0,), (file(b"a", b"b", b"120000"),)),
        "folder for file": Made((0,), (gone(b"a"), file(b"a/a"))),
        "gitlink": Made((0,), (gitlink(b"link", link),)),
        "gitlink that it hides": Made(
            (0,), (gitlink(b"s", link), file(b".gitmodules", b'[submodule "s"]\npath = s\nurl = ./s\nignore = all\n'))
        ),
        "gitlink for file": Made((0,), (gone(b"a"), gitlink(b"a", link))),
        "odd names": Made((0,), all_names),
        "odd names again": Made((13,), tuple(file(name, b"y") for name in NAMES)),
        "merge": Made((1, 4), (file(b"more"),)),
        "merge of no change": Made((1, 6)),
        "merge of many": Made((1, 4, 7, 8, 9, 10), (file(b"more"),)),
        "root again": Made((), (file(b"a"),)),
        "empty root": Made(),
        "merge of roots": Made((0, 18), (file(b"a", b"z"),)),
        "no message": Made((0,), (file(b"n"),), b""),
        "message of bytes": Made((0,), (file(b"n"),), b"\xff\nencoding UTF-16\n\n\x01%H:%P\n"),
        "message of long lines": Made((0,), (file(b"n"),), b"word " * 30_000),
    }
    return dict(zip(kinds, make(repo, kinds.values()), strict=True))


def at_random(repo: Repository, seed: int, count: int) -> list[str]:
    """Commits with any parents before them and any changes."""
    chance, several = random.Random(seed), []
    for number in range(count):
        parents = tuple(chance.sample(range(number), min(number, chance.choice((0, 1, 1, 1, 1, 2, 3)))))
        changes = []
        for name in chance.sample(NAMES, chance.randrange(5)):
            mode = chance.choice((b"100644", b"100755", b"120000"))
            changes.append(chance.choice((gone(name), file(name, b"%d" % chance.randrange(4), mode))))
        several.append(Made(parents, tuple(changes)))
    return make(repo, several)

"""The bytes of a commit, where they are certain without asking git. What git makes of the same is in
tests/integration/test_git_commitdoor.py."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from maestro.vcs.commitdoor import plain_commit

TREE, ONE, TWO = "1" * 40, "2" * 40, "3" * 40
DATED = {
    "GIT_AUTHOR_NAME": "An Author", "GIT_AUTHOR_EMAIL": "a@example.invalid", "GIT_AUTHOR_DATE": "@5 +0530",
    "GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c", "GIT_COMMITTER_DATE": "@6 -0330", "TZ": "UTC",
}  # fmt: skip
UNDATED = {name: value for name, value in DATED.items() if not name.endswith("DATE")}


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Sets TZ; the process is put back afterwards."""
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


def plain(message: bytes = b"m", **changed: str | None) -> bytes | None:
    env = {name: value for name, value in {**DATED, **changed}.items() if value is not None}
    return plain_commit(TREE, (ONE,), message, env)


def test_headers_a_line_between_and_the_message_as_it_is() -> None:
    assert (
        plain_commit(TREE, (ONE, TWO), "für\r\n\r\n".encode(), DATED)
        == (
            f"tree {TREE}\nparent {ONE}\nparent {TWO}\n"
            "author An Author <a@example.invalid> 5 +0530\ncommitter C <c> 6 -0330\n\nfür\r\n\r\n"
        ).encode()
    )
    assert (
        plain_commit("a" * 64, (), b"", DATED)
        == (f"tree {'a' * 64}\nauthor An Author <a@example.invalid> 5 +0530\ncommitter C <c> 6 -0330\n\n").encode()
    )


@pytest.mark.parametrize(
    ("tree", "parents"),
    [
        (f"{TREE}^{{tree}}", ()),
        ("main", ()),
        ("", ()),
        ("A" * 40, ()),
        ("1" * 39, ()),
        ("1" * 41, ()),
        ("1" * 63, ()),
        (f"{TREE}\n", ()),
        (f" {TREE}", ()),
        ("\u0661" * 40, ()),
        (TREE, (ONE, "HEAD")),
        (TREE, (ONE, TWO, ONE)),
    ],
)
def test_only_full_ids_are_certain_and_each_parent_once(tree: str, parents: tuple[str, ...]) -> None:
    assert plain_commit(tree, parents, b"m", DATED) is None


@pytest.mark.parametrize(
    "name",
    ["A", "A. B, C", "O'Neil", 'A "B" C', "A\tB\rC", "\x7f", "é", "\u200b", pytest.param("x" * 200_000, id="long")],
)
def test_names_that_git_takes_as_they_are(name: str) -> None:
    made = plain(GIT_AUTHOR_NAME=name, GIT_COMMITTER_EMAIL=name)
    assert made is not None
    assert f"\nauthor {name} <a@example.invalid> 5 +0530\ncommitter C <{name}> 6 -0330\n".encode() in made


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", " A", "A ", "Jr.", "A,", ":A", "A;", "'A'", '"A"', "\\A", "A\\", "A<", "A>B", "A\nB", "A\n", "\tA",
     "A\x01", "A\0B", "\u00a0A", "A\u2003", "A\x85", "\ud800", "A\udcffB", "A\ufffeB", None],
)  # fmt: skip
def test_names_that_git_would_clean_refuse_or_guess(name: str | None) -> None:
    for field in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        assert plain(**{field: name}) is None


@pytest.mark.parametrize(
    "message",
    [b"a\0b", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]
    + [chr(point).encode() for plane in range(17) for point in (plane << 16 | 0xFFFE, plane << 16 | 0xFFFF)]
    + [chr(point).encode() for point in range(0xFDD0, 0xFDF0)],
)
def test_messages_that_git_refuses_or_writes_anew(message: bytes) -> None:
    assert plain(b"before " + message + b" after") is None


@pytest.mark.parametrize(
    "point", ["\ufdcf", "\ufdf0", "\ufffd", "\U0001fffd", "\U00020000", "\ufeff", "\x01", "\u2028"]
)
def test_every_other_character_is_a_character(point: str) -> None:
    assert (plain(point.encode()) or b"").endswith(b"\n\n" + point.encode())


@pytest.mark.parametrize("date", ["@0 +0000", "@1700000000 +1400", "@1 -0030", "@9999999999999999 -1259"])
def test_dates_that_git_writes_as_they_are(date: str) -> None:
    assert f"> {date[1:]}\ncommitter".encode() in (plain(GIT_AUTHOR_DATE=date) or b"")


@pytest.mark.parametrize(
    "date",
    ["", "5 +0000", "@5", "@05 +0000", "@5 -0000", "@5 +0060", "@5 0000", "@5 +00:00", "@5 +000", "@5 +00000",
     "@-5 +0000",
     "@5  +0000", "@5 +0000 ", "@5 +0000\n",
     "@\u0665 +0000", "@5 +000\u0660", "@99999999999999999999 +0000", "now",
     "2005-04-07T22:13:13"],
)  # fmt: skip
def test_dates_that_git_must_read(date: str) -> None:
    assert plain(GIT_AUTHOR_DATE=date) is None
    assert plain(GIT_COMMITTER_DATE=date) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [("UTC", "+0000"), ("<xyz>-5:45", "+0545"), ("<xyz>3:30", "-0330"), ("<xyz>0:00:30", "+0000"),
     ("<xyz>1:02:03", "-0102"), ("<xyz>-1:02:59", "+0102")],
)  # fmt: skip
def test_the_zone_is_the_one_that_it_is_now(zone: pytest.MonkeyPatch, name: str, said: str) -> None:
    """Though nobody has told Python; and minutes are cut as in C."""
    zone.setenv("TZ", name)
    made = plain_commit(TREE, (), b"", {**UNDATED, "TZ": name})
    assert made is not None
    lines = made.decode().splitlines()[1:3]
    assert [line.split()[-1] for line in lines] == [said, said]


@pytest.mark.parametrize("other", [{"TZ": "Asia/Tokyo"}, {"TZDIR": "/zones"}])
def test_another_zone_than_ours_is_not_ours_to_tell(other: dict[str, str]) -> None:
    assert plain_commit(TREE, (), b"", {**UNDATED, **other}) is None
    assert plain_commit(TREE, (), b"", {name: value for name, value in UNDATED.items() if name != "TZ"}) is None
    assert plain_commit(TREE, (), b"", {**DATED, **other}) is not None
    assert plain_commit(TREE, (), b"", UNDATED) is not None


def test_author_and_committer_have_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_700_000_000, 1_800_000_000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    made = plain_commit(TREE, (), b"", UNDATED)
    assert made is not None
    author, committer = made.decode().splitlines()[1:3]
    assert author.split()[-2:] == committer.split()[-2:] == ["1700000000", "+0000"]

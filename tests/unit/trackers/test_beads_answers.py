"""What bd prints, recorded from both binaries, as values; and what is no answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.errors import TrackerError
from maestro.trackers.beads.answers import error_in, is_locked, lines_in, objects_in, value_in
from maestro.trackers.beads.issues import issues_in
from maestro.trackers.beads.versions import Era, judge

RECORDED = Path(__file__).parent / "beads_recorded"
ERAS = ("0.47.1", "1.0.5")


def recorded(era: str, name: str) -> str:
    path = RECORDED / era / name
    return path.read_text() if path.exists() else ""


def ids(text: str) -> list[str]:
    return [issue.id for issue in issues_in(objects_in(text, "`bd`"), "`bd`")]


@pytest.mark.parametrize(("text", "era"), [("0.47.1", Era.SQLITE), ("1.0.5", Era.DOLT)])
def test_versions(text: str, era: Era) -> None:
    version = judge(value_in(recorded(text, "version.json"), "`bd version`"), "bd")
    assert (version.text, version.era) == (text, era)
    assert version.appends_notes == (era is Era.DOLT)
    assert version.global_flags == (("--no-daemon",) if era is Era.SQLITE else ())


@pytest.mark.parametrize("era", ERAS)
def test_lists_single_objects_and_the_envelope(era: str) -> None:
    assert len(ids(recorded(era, "claim.json"))) == 1
    assert len(ids(recorded(era, "close_many.json"))) == 2
    assert len(ids(recorded(era, "update_many_one_unknown.json"))) == 1
    assert len(ids(recorded(era, "create_unknown_dep.json"))) == 1  # an object, not a list
    assert len(ids(recorded(era, "envelope_list.json"))) == 2
    assert ids(recorded(era, "list_empty.json")) == []


@pytest.mark.parametrize("era", ERAS)
def test_the_ways_to_say_no(era: str) -> None:
    with pytest.raises(TrackerError, match=r"`bd close` failed: .*demo-zzzz"):
        value_in(recorded(era, "error_close_unknown_id.json"), "`bd close`")
    with pytest.raises(TrackerError, match="`bd update` gave no JSON: No updates specified"):
        value_in(recorded(era, "update_no_changes.txt"), "`bd update`")
    assert error_in("", recorded(era, "error_no_database.stderr.txt")) == "no beads database found"
    assert "not allowed in read-only mode" in error_in("", recorded(era, "error_readonly_write.stderr.txt"))
    assert "already claimed by alice" in error_in("", recorded(era, "error_claim_second_actor.stderr.txt"))
    assert "blocked by open issues" in error_in("", recorded(era, "error_close_blocked.stderr.txt"))


def test_an_error_in_an_envelope() -> None:
    with pytest.raises(TrackerError, match="no issues found"):
        value_in(recorded("1.0.5", "envelope_error_unknown_id.json"), "`bd show`")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_nothing_is_no_answer(text: str) -> None:
    with pytest.raises(TrackerError, match="`bd list` gave an empty answer"):
        objects_in(text, "`bd list`")


@pytest.mark.parametrize(
    "notice",
    ["a new version is there\n", "[notice] look out\n", "{not json}\n\n", "[1] a job\n", "⚠ warning:\n  {still} one\n"],
)
def test_notices_around_the_json(notice: str) -> None:
    answer = recorded("1.0.5", "claim.json")
    assert ids(notice + answer) == ids(answer)
    assert ids(notice + answer + "\nTip: use bd prime\n") == ids(answer)


def test_what_is_no_list_of_issues() -> None:
    with pytest.raises(TrackerError, match="holds something else than issues"):
        objects_in('["a"]', "`bd list`")


@pytest.mark.parametrize("era", ERAS)
def test_lines(era: str) -> None:
    text = recorded(era, "export.jsonl")
    assert len(lines_in(text, "`bd export`")) == len(text.splitlines())
    assert lines_in("a notice\n\n" + text, "`bd export`") == lines_in(text, "`bd export`")
    assert lines_in("", "`bd export`") == []
    with pytest.raises(TrackerError, match=r"`bd export` gave something that is not JSON in line 2: \{\"id\": \"tor"):
        lines_in('{"id": "whole"}\n{"id": "tor', "`bd export`")
    with pytest.raises(TrackerError, match="line 2"):
        lines_in('{"id": "whole"}\npanic: out of memory', "`bd export`")


def test_locks_are_told_from_warnings() -> None:
    assert is_locked(recorded("0.47.1", "error_locked.stderr.txt"))
    assert is_locked("Error: another process holds the exclusive lock on /x")
    assert not is_locked(recorded("0.47.1", "export.stderr.txt"))  # "readonly database", and it worked
    assert not is_locked(recorded("0.47.1", "error_no_database.stderr.txt"))
    assert is_locked("Error: database is read only")
    for era in ERAS:  # by BD_READONLY: no waiting helps
        assert not is_locked(recorded(era, "error_readonly_write.stderr.txt"))

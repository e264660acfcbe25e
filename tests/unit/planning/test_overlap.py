"""Tasks that would write the same file (P-6)."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.model.plan import Overlap, Plan, PlanOptions
from maestro.model.task import Task
from maestro.planning import overlap
from maestro.planning.overlap import claims_of
from maestro.planning.plan import make_plan

REPOSITORY = ["src/a.py", "src/b.py", "src/api/c.py", "docs/x.md", "README.md"]


def task(name: str, *files: str, needs: tuple[str, ...] = (), **fields: Any) -> Task:
    return Task(id=name, files=files, dependencies=needs, **fields)


def plan(*tasks: Task, **options: Any) -> Plan:
    return make_plan(tasks, PlanOptions(**options), repository_files=REPOSITORY)


def clash(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    claims = claims_of([task("one", *one), task("other", *other)], REPOSITORY)
    return not set(claims.get("one", ())).isdisjoint(claims.get("other", ()))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("src/a.py",), ("./src/a.py",), True),
        (("src/a.py",), ("src/b.py",), False),
        (("new.py",), ("new.py",), True),
        (("src/*.py",), ("src/a.py",), True),
        (("src/*.py",), ("src/new.py",), True),
        (("src/*.py",), ("src/api/c.py",), False),
        (("src/**",), ("src/api/*.py",), True),
        (("src/*.py",), ("src/api/*.py",), False),
        (("src/a*",), ("src/*.py",), True),
        (("src/b*",), ("src/a*",), False),
        (("new/**",), ("new/sub/*.py",), True),
        (("new/**",), ("new/**",), True),
        (("new/",), ("new/x.py",), True),
        (("src",), ("src/new.py",), True),
        (("src",), ("src/api",), True),
        (("new",), ("new/x.py",), True),
        (("*.md",), ("docs/x.md",), True),
        (("src/[z-a].py",), ("src/a.py",), False),
        ((), (), False),
    ],
)
def test_which_claims_clash(one: tuple[str, ...], other: tuple[str, ...], expected: bool) -> None:
    assert clash(one, other) is expected
    assert clash(other, one) is expected


def test_pairs_are_listed_with_their_files() -> None:
    made = plan(task("a", "y", "x"), task("b", "x"), task("c", "x", "y"), task("d"))
    assert made.overlaps == (
        Overlap(tasks=("a", "b"), files=("x",)),
        Overlap(tasks=("a", "c"), files=("x", "y")),
        Overlap(tasks=("b", "c"), files=("x",)),
    )
    assert made.overlaps_unlisted == 0
    assert not made.allow_overlap
    assert plan(*made.tasks.values(), allow_overlap=True).overlaps == made.overlaps
    assert plan(*made.tasks.values(), allow_overlap=True).allow_overlap


def test_what_depends_on_the_other_is_no_pair_however_far() -> None:
    made = plan(task("a", "x"), task("b", needs=("a",)), task("c", "x", needs=("b",)), task("d", "x", needs=("a",)))
    assert [one.tasks for one in made.overlaps] == [("c", "d")]


def test_what_stands_in_different_stages_is_no_pair() -> None:
    tasks = [task("a", "x", group="g"), task("b", "x", group="g"), task("c", "x")]
    assert [one.tasks for one in plan(*tasks).overlaps] == [("a", "b")]
    assert len(plan(*tasks, schedule="dataflow").overlaps) == 3
    levels = [task("a", "x"), task("b", needs=("a",)), task("c", "x"), task("d", "x", needs=("c",))]
    assert [one.tasks for one in plan(*levels, schedule="levels").overlaps] == [("a", "c")]


def test_blocked_tasks_overlap_with_nobody() -> None:
    assert plan(task("a", "x"), task("b", "x", progress="deferred")).overlaps == ()


def test_files_named_in_the_text_overlap_where_they_exist() -> None:
    made = plan(task("a", title="Fix src/a.py"), task("b", description="and `src/a.py` too"), task("c", title="new.py"))
    assert made.overlaps == (Overlap(tasks=("a", "b"), files=("src/a.py",)),)
    assert made.files == {"a": ("src/a.py",), "b": ("src/a.py",)}


def test_a_file_that_everybody_writes_does_not_make_the_list_endless() -> None:
    made = plan(*(task(str(number), "x") for number in range(2_000)))
    assert len(made.overlaps) == overlap.LISTED
    assert len(made.overlaps) + made.overlaps_unlisted == 2_000 * 1_999 // 2


def test_a_long_chain_over_one_file_has_no_pairs() -> None:
    made = plan(*(task(str(one), "x", needs=(str(one - 1),) if one else ()) for one in range(3_000)))
    assert made.overlaps == ()
    assert made.overlaps_unlisted == 0


def test_dependence_is_found_across_many_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "_CHUNK", 3)
    tasks = []
    for number in range(10):
        tasks += [
            task(f"a{number}", f"x{number}"),
            task(f"m{number}", needs=(f"a{number}",)),
            task(f"b{number}", f"x{number}", needs=(f"m{number}",) if number % 2 else ()),
        ]
    assert [one.tasks for one in plan(*tasks).overlaps] == [(f"a{n}", f"b{n}") for n in range(0, 10, 2)]

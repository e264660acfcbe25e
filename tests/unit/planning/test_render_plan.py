"""A plan as text, JSON, DOT and Mermaid (P-7, C-1a)."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from maestro.model.plan import Plan, PlanOptions
from maestro.model.task import Progress, Task
from maestro.planning.plan import make_plan
from maestro.planning.render_graph import render_dot, render_mermaid
from maestro.planning.render_json import plan_object
from maestro.planning.render_text import duration, render_text


def sample(**options: Any) -> Plan:
    return make_plan(
        [
            Task(id="old", progress=Progress.DONE),
            Task(id="a", title='Say "hi" \\ <b>', group="x", estimate_minutes=90, files=("src/m.py",)),
            Task(id="b", title="Fix src/m.py", group="x", estimate_minutes=0.5),
            Task(id="c", dependencies=("a", "old")),
            Task(id="d\n", progress=Progress.DEFERRED),
        ],
        PlanOptions(**options),
        repository_files=["src/m.py"],
    )


def test_text_says_everything() -> None:
    assert render_text(sample()).splitlines() == [
        "Total tasks: 4",
        "Execution levels: 2",
        "Max parallel tasks: 2",
        "Theoretical speedup: 1.5x",
        "Schedule: stages (each begins when all before it has landed)",
        "Critical path: a → c",
        "Predicted time, one after the other: 2 h 16 min",
        "Predicted time, in parallel: 2 h 16 min",
        "Done before: 1",
        "",
        "Levels:",
        "  1: a, b",
        "  2: c",
        "",
        "Groups:",
        "  x: a, b",
        "",
        "Overlaps (never run at once):",
        "  a and b: both would write src/m.py (named in the text of b)",
        "",
        "Blocked:",
        r"  'd\n': the tracker says deferred",
    ]
    assert "Overlaps (allowed: they may run at once):" in render_text(sample(allow_overlap=True))


def test_text_of_an_impossible_plan_has_its_problems() -> None:
    lines = render_text(make_plan([Task(id="a", dependencies=("a",))], PlanOptions())).splitlines()
    assert lines[:4] == [
        "Total tasks: 1",
        "Execution levels: 0",
        "Max parallel tasks: 0",
        "Theoretical speedup: 0.0x",
    ]
    assert lines[-2:] == ["Problems:", "  task 'a' depends on itself"]


def test_long_lists_are_cut_and_say_by_how_much() -> None:
    tasks = [Task(id=f"t{one}", files=("x",)) for one in range(60)]
    text = render_text(make_plan(tasks, PlanOptions()))
    assert "t49, … and 10 more" in text
    assert "  … and up to 1720 more" in text
    chain = [Task(id=str(one), dependencies=(str(one - 1),) if one else ()) for one in range(60)]
    assert "\n  … and 10 more\n" in render_text(make_plan(chain, PlanOptions()))


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0, "0 s"), (0.5, "30 s"), (1, "1 min"), (59.4, "59 min"), (60, "1 h 00 min"), (125, "2 h 05 min")],
)
def test_durations(minutes: float, text: str) -> None:
    assert duration(minutes) == text


def test_json_has_exactly_the_keys_of_the_contract() -> None:
    assert json.loads(json.dumps(plan_object(sample()))) == {
        "schedule": "stages",
        "total_tasks": 4,
        "levels": [["a", "b"], ["c"]],
        "max_parallel": 2,
        "theoretical_speedup": 1.5,
        "critical_path": ["a", "c"],
        "groups": {"x": ["a", "b"]},
        "overlaps": [{"tasks": ["a", "b"], "files": ["src/m.py"]}],
        "blocked": [{"task": "d\n", "reason": "the tracker says deferred"}],
        "problems": [],
    }
    problems = plan_object(make_plan([Task(id="a", dependencies=("b",))], PlanOptions()))["problems"]
    assert problems == [
        {
            "kind": "unknown_dependency",
            "tasks": ["a", "b"],
            "message": "task 'a' depends on 'b', which is not in the backlog",
        }
    ]


def test_dot_marks_groups_blocked_tasks_and_overlaps() -> None:
    dot = render_dot(sample())
    assert 'subgraph cluster_0 { label="x"; t0; t1; }' in dot
    assert r't0 [label="a\nSay \"hi\" \\ <b>", style="rounded,bold"];' in dot
    assert r't3 [label="d\n", style="rounded,dashed"];' in dot
    assert "t0 -> t2;" in dot
    assert 't0 -> t1 [dir=none, style=dotted, constraint=false, label="src/m.py"];' in dot


@pytest.mark.real("dot")
def test_dot_is_drawn_by_graphviz() -> None:
    dot = shutil.which("dot")
    if dot is None:
        pytest.skip("dot is not installed")
    drawn = subprocess.run([dot, "-Tsvg"], input=render_dot(sample()), capture_output=True, text=True, timeout=60)
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.count('class="node"') == 4
    assert drawn.stdout.count('class="edge"') == 2


def test_mermaid_escapes_what_it_would_read_as_syntax() -> None:
    assert render_mermaid(sample()).splitlines() == [
        "flowchart LR",
        '  subgraph g0["x"]',
        '    t0["a<br/>Say #34;hi#34; #92; #60;b#62;"]',
        '    t1["b<br/>Fix src/m.py"]',
        "  end",
        '  t2["c"]',
        '  t3["d<br/>"]',
        "  t0 --> t2",
        '  t0 -. "src/m.py" .- t1',
        "  classDef critical stroke-width:3px",
        "  classDef blocked stroke-dasharray:4 4",
        "  class t0,t2 critical",
        "  class t3 blocked",
    ]


def test_a_cycle_can_be_drawn() -> None:
    made = make_plan([Task(id="a", dependencies=("b",)), Task(id="b", dependencies=("a",))], PlanOptions())
    assert "t1 -> t0;" in render_dot(made)
    assert "t0 --> t1" in render_mermaid(made)

"""Who does it, with what: metadata, fenced blocks and prose."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.trackers.beads.details import details_of

WANTED = {"subagent_type": "writer", "fallback_agents": ["a", "b"], "files": ["src/*.py"]}
JSON = '{"subagent_type": "writer", "fallback_agents": ["a", "b"], "files": ["src/*.py"]}'
YAML = "subagent_type: writer\nfallback_agents: [a, b]\nfiles:\n  - src/*.py"
TOML = 'subagent_type = "writer"\nfallback_agents = ["a", "b"]\nfiles = ["src/*.py"]'


@pytest.mark.parametrize(
    "block",
    [
        f"```json\n{JSON}\n```",
        f"~~~~\n{JSON}\n~~~~",
        f"```metadata\n{JSON}\n```",
        f'```json\n{{"metadata": {JSON}}}\n```',
        f"```yaml\n{YAML}\n```",
        f"```metadata\n{YAML}\n```",
        f"```toml\n{TOML}\n```",
        f"```metadata\n{TOML}\n```",
        f"```python\nx = 1\n```\n\n```json\n{JSON}\n```",
    ],
)
def test_a_fenced_block(block: str) -> None:
    assert details_of({}, f"Do this.\n\n{block}\n\nand that") == WANTED


@pytest.mark.parametrize(
    "text",
    [
        "no block at all: {}",
        '```json\n{"name": "an example", "version": 1}\n```',
        '```json\n{"files": ["torn"\n```',
        "```yaml\n- subagent_type\n- writer\n```",
        "```yaml\na: &a [*a]\n: }\n```",
        f"```json\n{JSON}",
        '```json\n{"files": {"a": 1}, "estimate": "soon", "subagent_type": 5, "group": null}\n```',
    ],
)
def test_what_is_not_meant_for_maestro_is_left_alone(text: str) -> None:
    assert details_of({}, text) == {}


@pytest.mark.parametrize(
    "lines",
    [
        "- subagent_type: `writer`\n- fallback_agents: a, b\n- files: src/*.py",
        "**Subagent**: writer\n**Fallback agents**: a, b\n**Files**: src/*.py",
        "| | |\n|---|---|\n| Subagent Type | writer |\n| Fallback Agents | a, b |\n| Files | src/*.py |",
        '* **Agent:** writer\n* Fallbacks: ["a", "b"]\n* Owned files: src/*.py\n* Mood: good',
    ],
)
def test_the_section_of_agent_assignment(lines: str) -> None:
    assert details_of({}, f"Text.\n\n## Agent Assignment\n\n{lines}\n\n## Notes\n- subagent_type: other") == WANTED
    assert details_of({}, f"**Agent Assignment:**\n{lines}") == WANTED
    assert details_of({}, lines) == {}  # without the heading it is prose


def test_the_stronger_wins() -> None:
    text = '## Agent Assignment\n- Subagent: prose\n- Role: docs\n\n```json\n{"agent": "block", "skills": ["x"]}\n```'
    assert details_of({"subagentType": "column"}, text) == {
        "subagent_type": "column", "role": "docs", "applicable_skills": ["x"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metadata", "wanted"),
    [
        ({"files": ["a"], "execution_parallel_group": "Group-1"}, {"files": ["a"], "group": "1"}),
        ({"applicable_skills": '["x", "y"]'}, {"applicable_skills": ["x", "y"]}),  # as `create --graph` has it
        ({"applicable_skills": "x, y"}, {"applicable_skills": "x, y"}),
        ({"resources": ["docker"]}, {"resources": ["docker"]}),
        ({"resources": {"limits": {"cpu": 1}}}, {"metadata": {"resources": {"limits": {"cpu": 1}}}}),
        ({"estimate": "2h", "k": {"b": [1]}}, {"estimate": "2h", "metadata": {"k": {"b": [1]}}}),
        ({"role": {"odd": 1}, "files": [1]}, {"metadata": {"role": {"odd": 1}, "files": [1]}}),
    ],
)
def test_the_metadata_column(metadata: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert details_of(metadata, "") == wanted


def test_resources_of_a_block_that_is_something_else_are_none_of_ours() -> None:
    kustomization = "```yaml\nkind: Kustomization\nresources:\n- deployment.yaml\n```\n"
    assert details_of({}, kustomization) == {}
    assert details_of({}, "```yaml\nrole: quality\nresources: [docker]\n```\n")["resources"] == ["docker"]

"""Which subagents exist, and who of them does a task (P-9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.agents.delegate import DelegateAgent, DelegateOptions
from maestro.config.settings import Settings
from maestro.model.task import Task
from maestro.planning.choose_agent import DEFAULT_TABLE
from maestro.store.layout import Layout
from maestro.wiring.delegate import choose, existing_subagents, settings_of_run, subagents_of


def agents_in(folder: Path, **files: str) -> None:
    for name, text in files.items():
        file = folder / "agents" / f"{name}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_files_of_the_project_and_the_user_name_them(tmp_path: Path) -> None:
    agents_in(
        tmp_path / "repo" / ".claude",
        plain="no front matter, name: wrong",
        named="---\nname: builder\ndescription: x\n---\nname: wrong\n",
        quoted='---\ndescription: x\nname: "Reviewer"\n---\n',
    )
    agents_in(tmp_path / "home" / ".claude", mine="---\ndescription: no name\n---\n")
    (tmp_path / "home" / ".claude" / "agents" / "deep").mkdir()
    (tmp_path / "home" / ".claude" / "agents" / "deep" / "odd.md").write_bytes(b"---\nname: \xff\n---\n")
    found = existing_subagents(tmp_path / "repo", {"HOME": str(tmp_path / "home")})
    assert found == ("general-purpose", "Reviewer", "builder", "mine", "odd", "plain")


def test_the_folder_of_another_configuration_is_looked_into(tmp_path: Path) -> None:
    agents_in(tmp_path / "config", other="x")
    env = {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(tmp_path / "config")}
    assert existing_subagents(tmp_path, env) == ("general-purpose", "other")


def test_where_there_are_no_files_there_is_the_one_of_every_session(tmp_path: Path) -> None:
    assert existing_subagents(tmp_path, {}) == ("general-purpose",)


def test_what_the_session_says_beats_the_files(tmp_path: Path) -> None:
    agents_in(tmp_path / ".claude", local="x")
    told = Settings(agent="delegate", agents={"delegate": {"subagents": ["a", "b"]}})
    options = settings_of_run(told, Layout(tmp_path), "r", {}).agents["delegate"]
    assert options["subagents"] == ("a", "b")
    assert options["folder"] == tmp_path / ".flow/maestro/runs/r/delegate"
    found = settings_of_run(Settings(agent="delegate"), Layout(tmp_path), "r", {}).agents["delegate"]["subagents"]
    assert found == ("general-purpose", "local")
    other = Settings(agent="claude")
    assert settings_of_run(other, Layout(tmp_path), "r", {}) is other


KNOWN = subagents_of(DelegateAgent(DelegateOptions(subagents=("general-purpose", "flow:builder", "test-automator"))))


@pytest.mark.parametrize(
    ("task", "chosen", "why"),
    [
        (Task(id="t", subagent_type="builder"), "builder", "task"),
        (Task(id="t", subagent_type="flow:builder"), "flow:builder", "task"),
        (Task(id="t", subagent_type="wizard", fallback_agents=("sage", "builder")), "builder", "fallback"),
        (Task(id="t", subagent_type="wizard", title="test coverage of the api"), "test-automator", "keywords"),
        (Task(id="t", subagent_type="wizard"), "general-purpose", "fallback"),
        (Task(id="t", title="a react component"), "general-purpose", "fallback"),
        (Task(id="t"), "general-purpose", "fallback"),
    ],
)
def test_only_what_exists_is_chosen(task: Task, chosen: str, why: str) -> None:
    choice = choose(task, KNOWN, DEFAULT_TABLE)
    assert (choice.subagent, choice.why) == (chosen, why)


def test_where_nobody_knows_what_exists_any_name_will_do() -> None:
    assert choose(Task(id="t", subagent_type="wizard"), None, DEFAULT_TABLE).subagent == "wizard"

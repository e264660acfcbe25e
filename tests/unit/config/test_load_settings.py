"""C-7: which source wins, what is understood, what is refused and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maestro.config.load import DEFAULT, KEYS, Loaded, load_settings
from maestro.config.settings import Settings
from maestro.errors import BadInput
from maestro.model.plan import ScheduleKind


def write(root: Path, name: str, text: str) -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def config(root: Path, text: str) -> Path:
    return write(root, ".flow/maestro/config.toml", text)


def load(root: Path, env: dict[str, str] | None = None, **flags: Any) -> Loaded:
    return load_settings(root, None, env or {}, flags, root)


def test_without_any_source_everything_is_a_default(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert loaded.settings == Settings()
    assert loaded.warnings == ()
    assert set(loaded.origins.values()) == {DEFAULT}
    assert loaded.settings.test_timeout == 1800
    assert loaded.settings.task_timeout == 7200
    assert loaded.settings.attempts == 2


def test_sources_from_weakest_to_strongest(tmp_path: Path) -> None:
    write(tmp_path, "cto-config.json", '{"play": {\n "parallelExecution": false}}')
    assert load(tmp_path).settings.max_parallel == 1
    assert load(tmp_path).origins["max_parallel"] == f"{tmp_path}/cto-config.json:2"
    file = config(tmp_path, "# mine\nmax-parallel = 2\n")
    assert load(tmp_path).settings.max_parallel == 2
    assert load(tmp_path).origins["max_parallel"] == f"{file}:2"
    write(tmp_path, "pyproject.toml", "[project]\nname='x'\n[tool.maestro]\nmax_parallel = 3\n")
    assert load(tmp_path).settings.max_parallel == 3
    assert load(tmp_path).origins["max_parallel"] == f"{tmp_path}/pyproject.toml:4"
    env = {"MAESTRO_MAX_PARALLEL": "4"}
    assert load(tmp_path, env).settings.max_parallel == 4
    assert load(tmp_path, env).origins["max_parallel"] == "MAESTRO_MAX_PARALLEL"
    assert load(tmp_path, env, max_parallel=5).settings.max_parallel == 5
    assert load(tmp_path, env, max_parallel=5).origins["max_parallel"] == "--max-parallel"
    assert load(tmp_path, env, max_parallel=None).settings.max_parallel == 4


def test_another_config_file_replaces_the_usual_one(tmp_path: Path) -> None:
    config(tmp_path, "attempts = 5\n")
    other = write(tmp_path, "night.toml", "keep-going = true\n")
    loaded = load_settings(tmp_path, other, {}, {})
    assert (loaded.settings.attempts, loaded.settings.keep_going) == (2, True)


def test_a_config_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load_settings(tmp_path, tmp_path / "missing.toml", {}, {})


FLAGS_OF_C1A = {
    "tasks_file": ("t.json", "t.json"),
    "tracker": ("taskmaster", "taskmaster"),
    "group_id": ("a,b", ("a", "b")),
    "schedule": ("levels", ScheduleKind.LEVELS),
    "agent": ("codex", "codex"),
    "agent_command": ("echo hi", "echo hi"),
    "max_parallel": ("3", 3),
    "test_command": ("make test", "make test"),
    "no_tests": ("yes", True),
    "test_timeout": ("2.5", 2.5),
    "integration_base_branch": ("develop", "develop"),
    "land_on_base": ("1", True),
    "allow_overlap": ("true", True),
    "keep_going": ("on", True),
    "attempts": ("4", 4),
    "task_timeout": ("60", 60.0),
    "workspace": ("clone", "clone"),
    "workspace_root": ("/w", "/w"),
}


@pytest.mark.parametrize("key", FLAGS_OF_C1A)
def test_every_flag_has_a_variable_of_its_name(tmp_path: Path, key: str) -> None:
    written, expected = FLAGS_OF_C1A[key]
    value = getattr(load(tmp_path, {f"MAESTRO_{key.upper()}": written}).settings, key)
    if isinstance(value, Path):
        assert value == tmp_path / str(expected)
    else:
        assert value == expected


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_is_known_in_both_spellings(tmp_path: Path, key: str) -> None:
    for spelling in (key, key.replace("_", "-")):
        config(tmp_path, f"{spelling} = {{}}\n")
        try:
            said = [str(warning) for warning in load(tmp_path).warnings]
        except BadInput as error:
            said = [] if f"config.toml:1: {spelling} must be" in error.message else [error.message]
        assert said == []


def test_the_run_id_and_what_agents_are_given_are_no_settings(tmp_path: Path) -> None:
    ours = (
        "RUN_ID",
        "TASK_ID",
        "ATTEMPT",
        "WORKSPACE_DIR",
        "PROMPT_FILE",
        "REPORT_FILE",
        "FENCING_TOKEN",
        "MACHINE_DIR",
    )
    loaded = load(tmp_path, {f"MAESTRO_{name}": "x" for name in (*ours, "TEST_MARK", "TEST_TOOLS")})
    assert loaded.warnings == ()
    assert loaded.settings == Settings()


def test_unknown_keys_warn_with_file_and_line(tmp_path: Path) -> None:
    file = config(tmp_path, 'setup = """\nmax_paralel = 1\n"""\n\nmax_paralel = 3\n[unheard]\nof = 1\n')
    said = [str(warning) for warning in load(tmp_path, {"MAESTRO_AGENTS_COMMAND": "x"}).warnings]
    assert said == [
        f"{file}:5: unknown key max_paralel, did you mean max_parallel?",
        f"{file}:6: unknown key unheard",
        "MAESTRO_AGENTS_COMMAND: this is not a setting of maestro, did you mean agent_command?",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("max_parallel = 0", "max_parallel must be at least 1, not 0"),
        ("max_parallel = 'four'", "max_parallel must be a whole number, not 'four'"),
        ("max-parallel = true", "max-parallel must be a number, not True"),
        ("task_timeout = -1", "task_timeout must be more than 0, not -1"),
        ("task_timeout = inf", "task_timeout must be a number, not inf"),
        ("keep_going = 'perhaps'", "keep_going must be true or false, not 'perhaps'"),
        ("schedule = 'fast'", "schedule must be one of auto, stages, levels, dataflow, not 'fast'"),
        ("workspace = 'vm'", "workspace must be one of worktree, clone, copy, none, not 'vm'"),
        ("setup = 3", "setup must be a list of texts, not 3"),
        ("agents = 3", "agents must be a table, not 3"),
        ("agent = ''", "agent must be a text that is not empty, not ''"),
        ("tasks_file = 3", "tasks_file must be a path, not 3"),
        ("agent_command = 3", "agent_command must be a text, not 3"),
    ],
)
def test_a_wrong_value_is_refused_with_file_line_and_what_was_expected(
    tmp_path: Path, line: str, expected: str
) -> None:
    file = config(tmp_path, f"# first\n{line}\n")
    with pytest.raises(BadInput) as caught:
        load(tmp_path)
    assert caught.value.message == f"{file}:2: {expected}"


def test_a_wrong_variable_and_a_wrong_flag_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="MAESTRO_ATTEMPTS must be a whole number, not 'x'"):
        load(tmp_path, {"MAESTRO_ATTEMPTS": "x"})
    with pytest.raises(BadInput, match="--attempts must be at least 1, not 0"):
        load(tmp_path, attempts=0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (".flow/maestro/config.toml", b"a = = 1", "not valid TOML: invalid value"),
        (".flow/maestro/config.toml", b"\xff\xfe", "is not UTF-8 text"),
        ("pyproject.toml", b"[tool.maestro", "not valid TOML"),
        ("pyproject.toml", b"tool = {maestro = 1}", "must be a table"),
        ("cto-config.json", b"{", "not valid JSON"),
    ],
)
def test_a_broken_file_is_bad_input(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write(tmp_path, name, "").write_bytes(content)
    with pytest.raises(BadInput, match=message):
        load(tmp_path)


def test_a_broken_pyproject_that_does_not_speak_of_us_is_not_our_business(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[tool.other")
    assert load(tmp_path).settings == Settings()


def test_keys_of_the_older_tools_are_understood(tmp_path: Path) -> None:
    config(
        tmp_path,
        "parallel-execution = false\nintegration-pr-enabled = true\n"
        'integration-base-branch = "dev"\nconflict-detection = false\n',
    )
    settings = load(tmp_path).settings
    assert settings.max_parallel == 1
    assert settings.integration_pr_enabled
    assert settings.integration_base_branch == "dev"
    assert not settings.conflict_detection
    assert load(tmp_path, max_parallel=6).settings.max_parallel == 6


def test_one_at_a_time_wins_over_a_number_beside_it(tmp_path: Path) -> None:
    config(tmp_path, "max_parallel = 8\nparallel-execution = false\n")
    assert load(tmp_path).settings.max_parallel == 1


def test_other_content_of_a_cto_config_is_not_our_business(tmp_path: Path) -> None:
    write(tmp_path, "cto-config.json", '{"play": {"model": "x"}, "defaults": []}')
    assert load(tmp_path).settings == Settings()


def test_the_same_key_in_both_spellings_is_refused(tmp_path: Path) -> None:
    config(tmp_path, "max_parallel = 1\nmax-parallel = 2\n")
    with pytest.raises(BadInput, match="given twice"):
        load(tmp_path)


def test_paths_are_relative_to_where_they_were_written(tmp_path: Path) -> None:
    config(tmp_path, 'tasks_file = "t.json"\nworkspace_root = "~/w"\n')
    here = tmp_path / "sub"
    settings = load_settings(tmp_path, None, {}, {}, here).settings
    assert settings.tasks_file == tmp_path / "t.json"
    assert settings.workspace_root == Path.home() / "w"
    assert load_settings(tmp_path, None, {}, {"tasks_file": "t.json"}, here).settings.tasks_file == here / "t.json"
    assert load_settings(tmp_path, None, {}, {"tasks_file": "-"}, here).settings.tasks_file == Path("-")


def test_the_stronger_of_two_that_exclude_each_other_wins(tmp_path: Path) -> None:
    config(tmp_path, 'test_command = "make"\ntasks_file = "t.json"\nagent_command = "run-it"\n')
    assert load(tmp_path).settings.agent == "command"
    settings = load(tmp_path, no_tests=True, tracker="markdown", agent="claude").settings
    assert (settings.test_command, settings.no_tests) == (None, True)
    assert (settings.tasks_file, settings.tracker) == (None, "markdown")
    assert (settings.agent_command, settings.agent) == (None, "claude")
    assert load(tmp_path, agent="command").settings.agent_command == "run-it"


def test_a_flag_puts_out_the_weaker_opposite(tmp_path: Path) -> None:
    config(tmp_path, 'no_tests = true\ntracker = "taskmaster"\nagent = "claude"\n')
    settings = load(tmp_path, test_command="make", tasks_file="t.json", agent_command="x").settings
    assert (settings.test_command, settings.no_tests) == ("make", False)
    assert (settings.tasks_file, settings.tracker) == (tmp_path / "t.json", "auto")
    assert (settings.agent_command, settings.agent) == ("x", "command")


def test_two_that_exclude_each_other_in_one_source_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^--test-command and --no-tests exclude each other$"):
        load(tmp_path, test_command="make", no_tests=True)
    with pytest.raises(BadInput, match=r"^MAESTRO_AGENT_COMMAND and MAESTRO_AGENT exclude each other$"):
        load(tmp_path, {"MAESTRO_AGENT": "claude", "MAESTRO_AGENT_COMMAND": "x"})


def test_lists_and_tables(tmp_path: Path) -> None:
    config(
        tmp_path,
        'setup = "npm ci"\ncopy = [".env"]\nagent_limits = 3\ngroup_parallel = 1\n'
        '[keywords]\nqa = ["test"]\nweb = "ui"\n[agents.claude]\nmodel = "m"\n',
    )
    settings = load(tmp_path).settings
    assert settings.setup == ("npm ci",)
    assert settings.copy_files == (".env",)
    assert settings.agent_limit("anything") == 3
    assert settings.group_parallel == 1
    assert list(settings.keywords.items()) == [("qa", ("test",)), ("web", ("ui",))]
    assert settings.agents == {"claude": {"model": "m"}}


def test_lists_and_tables_in_variables(tmp_path: Path) -> None:
    env = {
        "MAESTRO_SETUP": "pip install a,b\n\nmake\n",
        "MAESTRO_ENV_ALLOW": "A, B",
        "MAESTRO_SYMLINK": '["node_modules, old"]',
        "MAESTRO_AGENTS": '{"claude": {"model": "m"}}',
    }
    settings = load(tmp_path, env).settings
    assert settings.setup == ("pip install a,b", "make")
    assert settings.env_allow == ("A", "B")
    assert settings.symlink == ("node_modules, old",)
    assert settings.agents == {"claude": {"model": "m"}}
    with pytest.raises(BadInput, match="MAESTRO_AGENTS is not valid JSON"):
        load(tmp_path, {"MAESTRO_AGENTS": "claude"})


def test_an_empty_variable_is_unset(tmp_path: Path) -> None:
    assert load(tmp_path, {"MAESTRO_AGENT_COMMAND": ""}).settings == Settings()


def test_resources_are_numbers_or_tables_and_tests_is_always_one_of_them(tmp_path: Path) -> None:
    config(tmp_path, '[resources]\ndocker = 2\ngpu = { slots = 3, scope = "machine", limit = 60 }\n')
    loaded = load(tmp_path)
    assert {name: (one.slots, one.scope, one.limit) for name, one in loaded.settings.resources.items()} == {
        "tests": (1, "repo", 900.0),
        "docker": (2, "repo", 900.0),
        "gpu": (3, "machine", 60.0),
    }
    assert load(tmp_path, {"MAESTRO_RESOURCES": '{"tests": 4}'}).settings.resources["tests"].slots == 4


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("docker = 0", "at least 1"),
        ("docker = true", "a table of numbers, or of tables such as { slots = 2 }"),
        ('docker = "2"', "a table of numbers, or of tables such as { slots = 2 }"),
        ("docker = { places = 2 }", "a table of numbers, or of tables such as { slots = 2 }"),
        ('docker = { scope = "redis" }', "one of run, repo, machine"),
        ('"a b" = 1', "a table whose names are letters, digits, dots, hyphens and underscores"),
    ],
)
def test_a_resource_that_makes_no_sense(tmp_path: Path, written: str, expected: str) -> None:
    config(tmp_path, f"[resources]\n{written}\n")
    with pytest.raises(BadInput) as refused:
        load(tmp_path)
    assert f"resources must be {expected}, not" in refused.value.message

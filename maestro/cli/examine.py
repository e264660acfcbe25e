"""What `maestro doctor` looks at: each examination is one function, and asks what a run itself would ask."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maestro.cli.app import App
from maestro.errors import BadInput, MaestroError
from maestro.store.layout import Layout
from maestro.store.standing import SHOWN, finished, is_alive, newest_runs

if TYPE_CHECKING:
    from maestro.agents.base import Login
    from maestro.config.load import Loaded
    from maestro.vcs.git import Git
    from maestro.wiring.keys import Pool


class Health(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # a run works, but somebody should know
    PROBLEM = "problem"  # a run would be refused or fail


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's."""

    name: str
    health: Health
    detail: str
    hint: str = ""
    facts: Mapping[str, Any] | None = None  # for programs that read it, where words are not enough


@dataclass
class Patient:
    """What is known so far; a part that could not be had is None, and what needs it is not examined."""

    app: App
    flags: Mapping[str, Any]
    git: Git | None = None
    loaded: Loaded | None = None
    layout: Layout | None = None
    pools: tuple[Pool, ...] = ()  # of API keys


def examine(app: App, flags: Mapping[str, Any]) -> Iterator[Finding]:
    """All findings of a run with these flags, in the order in which it would meet them."""
    patient = Patient(app, flags)
    for name, look in EXAMINATIONS.items():
        try:
            yield from look(patient)
        except MaestroError as error:
            yield Finding(name, Health.PROBLEM, error.message, error.hint)


def _git(_: Patient) -> Iterator[Finding]:
    from maestro.vcs.git import require_version

    yield Finding("git", Health.OK, "version " + ".".join(map(str, require_version())))


def _repository(patient: Patient) -> Iterator[Finding]:
    from maestro.coordinator import ParallelCoordinator
    from maestro.workspaces.preflight import preflight

    patient.git = git = ParallelCoordinator(patient.app.directory, environ=patient.app.environ).open()
    patient.layout = Layout(git.directory)
    yield Finding("repository", Health.OK, str(git.directory))
    for remark in preflight(git):
        yield Finding("checkout", Health.WARNING, remark)


def _identity(patient: Patient) -> Iterator[Finding]:
    from maestro.integration.identity import FALLBACK_EMAIL, identity

    if patient.git is None:
        return
    who = identity(patient.git)
    name, email = who["GIT_AUTHOR_NAME"], who["GIT_AUTHOR_EMAIL"]
    unknown = email == FALLBACK_EMAIL
    hint = "git config --global user.email you@example.com" if unknown else ""
    yield Finding("identity", Health.WARNING if unknown else Health.OK, f"commits are by {name} <{email}>", hint)


def _configuration(patient: Patient) -> Iterator[Finding]:
    from maestro.config.load import DEFAULT

    repository = patient.git.directory if patient.git else None
    patient.loaded = loaded = patient.app.load_silently(patient.flags, repository=repository)
    for warning in loaded.warnings:
        yield Finding("configuration", Health.WARNING, str(warning))
    chosen = [f"{key} from {origin}" for key, origin in loaded.origins.items() if origin != DEFAULT]
    yield Finding("configuration", Health.OK, "; ".join(chosen) or "all defaults")


def _backlog(patient: Patient) -> Iterator[Finding]:
    from maestro.wiring.backlog import plan_backlog

    if patient.git is None or patient.loaded is None:
        return
    if str(patient.loaded.settings.tasks_file) == "-":
        yield Finding("backlog", Health.OK, "from standard input")
        return
    backlog = plan_backlog(patient.git, patient.loaded.settings, environ=patient.app.environ)
    health = Health.OK if backlog.plan.is_all_done else Health.PROBLEM
    hint = "" if backlog.plan.is_all_done else "`maestro plan` shows the whole backlog"
    for problem in backlog.plan.problems:
        yield Finding("backlog", health, problem.message, hint)
    if not backlog.plan.problems:
        plan = backlog.plan
        text = f"{_counted(plan.total_tasks, 'task')}, {_counted(len(plan.levels), 'level')}; {backlog.why}"
        yield Finding("backlog", Health.OK, f"{text}; starting from {backlog.base_branch} {backlog.base[:10]}")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _agent(patient: Patient) -> Iterator[Finding]:
    from maestro.wiring.choices import open_agent
    from maestro.wiring.keys import variables_of
    from maestro.wiring.roster import chosen_login

    if patient.loaded is None:
        return
    settings = patient.loaded.settings
    environ = {**patient.app.environ, **variables_of(patient.pools)}
    agent = open_agent(settings, environ)
    login = chosen_login(settings, environ)
    detail = f"{settings.agent}: {agent.availability(environ).detail}"
    yield Finding("agent", Health.OK, detail, facts=_facts(settings.agent, True, login))
    if login is not None and not patient.pools:
        health = Health.OK if login.found else Health.WARNING
        yield Finding("agent", health, f"{settings.agent}: {login.detail}", login.hint)


def _other_agents(patient: Patient) -> Iterator[Finding]:
    """Information only: a run needs none of them."""
    from maestro.wiring.roster import others

    if patient.loaded is None:
        return
    for other in others(patient.loaded.settings, patient.app.environ):
        detail = f"{other.name}: {other.availability.detail}"
        if other.login is not None:
            detail += f"; {other.login.detail}"
        facts = _facts(other.name, other.availability.available, other.login)
        yield Finding("other agents", Health.OK, detail, facts=facts)


def _keys(patient: Patient) -> Iterator[Finding]:
    from maestro.wiring.keys import open_pools

    if patient.loaded is None:
        return
    patient.pools = open_pools(patient.loaded.settings, patient.app.environ)
    for pool in patient.pools:
        origins = ", ".join(key.origin for key in pool.keys)
        rates = [rate for rate in pool.rates if rate is not None]
        rate = f", {sum(rates)} requests a minute" if rates else ""
        where = "behind a gateway" if pool.gateway else "one for each attempt"
        count = _counted(len(pool.keys), "key")
        yield Finding("keys", Health.OK, f"{pool.provider.name}: {count} ({origins}){rate}, {where}")


def _facts(agent: str, available: bool, login: Login | None) -> dict[str, Any]:
    return {"agent": agent, "available": available, "logged_in": login.found if login else None}


def _tests(patient: Patient) -> Iterator[Finding]:
    from maestro.wiring.choices import make_gate

    if patient.git is None or patient.loaded is None:
        return
    gate = make_gate(patient.git, patient.loaded.settings)
    if gate is None:
        yield Finding("tests", Health.WARNING, "finished work lands unchecked, as you said")
    else:
        yield Finding("tests", Health.OK, f"{gate.command} ({gate.source})")


def _workspaces(patient: Patient) -> Iterator[Finding]:
    from maestro.workspaces.roots import default_root, on_one_disk

    if patient.git is None or patient.loaded is None:
        return
    settings = patient.loaded.settings
    root = settings.workspace_root or default_root(patient.git.directory, patient.app.environ)
    standing = _existing(root)
    if not os.access(standing, os.W_OK):
        raise BadInput(f"workspaces cannot be made in {root}", hint="choose another folder with --workspace-root")
    free = shutil.disk_usage(standing).free >> 20
    if free < settings.min_free_disk_mb:
        raise BadInput(
            f"only {free} MB are free for workspaces in {root}, fewer than min_free_disk_mb = "
            f"{settings.min_free_disk_mb}",
            hint="make room with `maestro clean`, or choose another folder with --workspace-root",
        )
    yield Finding("workspaces", Health.OK, f"{root}, {free} MB free")
    if not on_one_disk(root, patient.git.directory):
        yield Finding("workspaces", Health.WARNING, "they are on another disk than the repository, which is slower")


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _surroundings(patient: Patient) -> Iterator[Finding]:
    from maestro.wiring.surroundings import check_surroundings

    if patient.loaded is None:
        return
    settings = patient.loaded.settings
    check_surroundings(settings, patient.app.environ)
    home = {"user": "your HOME", "private": "a HOME of their own"}.get(str(settings.home), f"HOME {settings.home}")
    sandbox = "no sandbox" if settings.sandbox == "none" else f"each in a sandbox ({settings.sandbox})"
    yield Finding("surroundings", Health.OK, f"agents and tests have {home}, {sandbox}")


def _ports(patient: Patient) -> Iterator[Finding]:
    from maestro.planning.ports import BLOCKS, services_of
    from maestro.resources.ports.listing import list_leases
    from maestro.resources.ports.outgoing import in_the_way, outgoing_ports
    from maestro.store.machine import check_machine_folder

    if patient.loaded is None:
        return
    services = services_of(patient.loaded.settings.ports)
    machine = check_machine_folder(patient.app.environ)
    ranges = ", ".join(f"{name} from {start}" for name, start in services.items())
    yield Finding("ports", Health.OK, f"{ranges}; {len(list_leases(machine))} of {BLOCKS:,} leased")
    outgoing = outgoing_ports()
    if met := in_the_way(services, outgoing):
        what = f"outgoing connections of any program may take ports of {', '.join(met)}"
        hint = f"choose ranges outside of {outgoing.start} to {outgoing.stop - 1}"
        yield Finding("ports", Health.WARNING, what, hint)


def _services(patient: Patient) -> Iterator[Finding]:
    from maestro.cli.zenflow_files import zenflow_files
    from maestro.planning.ports import services_of
    from maestro.store.shipped import OVERLAY

    if patient.git is None or patient.loaded is None or not (patient.git.directory / OVERLAY).is_file():
        return
    files = zenflow_files(patient.git.directory, services_of(patient.loaded.settings.ports))
    if files.collisions:
        hint = "let it say variables of an .env.task, such as ${POSTGRES_PORT:-5432}"
        yield Finding("services", Health.WARNING, f"stacks of tasks would share: {', '.join(files.collisions)}", hint)
    elif files.compose_file:
        yield Finding("services", Health.OK, f"{OVERLAY} goes over {files.compose_file}")


def _resources(patient: Patient) -> Iterator[Finding]:
    from maestro.wiring.inuse import resource_lines, resources_in_use

    if patient.git is None or patient.layout is None or patient.loaded is None:
        return
    settings, layout = patient.loaded.settings, patient.layout
    named = (f"{name} ({_counted(one.slots, 'slot')}, {one.scope})" for name, one in settings.resources.items())
    yield Finding("resources", Health.OK, ", ".join(named))
    alive = [run for run in newest_runs(layout)[:SHOWN] if is_alive(layout, run)]
    for line in resource_lines(resources_in_use(lambda: settings, layout.repository, alive, patient.app.environ)):
        yield Finding("resources", Health.OK, line)


def _state(patient: Patient) -> Iterator[Finding]:
    if patient.layout is None:
        return
    layout = patient.layout
    if not os.access(_existing(layout.root), os.W_OK):
        raise BadInput(f"the state directory {layout.root} cannot be written", hint="give yourself the right to write")
    open_runs = [run for run in newest_runs(layout) if finished(layout, run) is None]
    alive = [run for run in open_runs if is_alive(layout, run)]
    dead = [run for run in open_runs if run not in alive]
    yield Finding("runs", Health.OK, f"{len(alive)} under way" + (f": {', '.join(alive)}" if alive else ""))
    if dead:
        named = ", ".join(dead[:3]) + (f" and {len(dead) - 3} more" if len(dead) > 3 else "")
        hint = "go on with one by `maestro resume --run-id ID`; `maestro cleanup-orphans` shows what they left"
        yield Finding("runs", Health.WARNING, f"ended without a result: {named}", hint)


def _tools(patient: Patient) -> Iterator[Finding]:
    path = patient.app.environ.get("PATH")
    wants_gh = patient.loaded is not None and patient.loaded.settings.integration_pr_enabled
    for tool, use, wanted in (("gh", "pull requests", wants_gh), ("dot", "`maestro plan --format svg`", False)):
        found = shutil.which(tool, path=path)
        if found:
            yield Finding(tool, Health.OK, found)
        elif wanted:
            yield Finding(tool, Health.PROBLEM, f"not found, and {use} need it", "install it, or leave out the setting")
        else:
            yield Finding(tool, Health.OK, f"not found; only needed for {use}")


EXAMINATIONS: dict[str, Callable[[Patient], Iterator[Finding]]] = {
    "git": _git,
    "repository": _repository,
    "identity": _identity,
    "configuration": _configuration,
    "backlog": _backlog,
    "keys": _keys,
    "agent": _agent,
    "other agents": _other_agents,
    "tests": _tests,
    "workspaces": _workspaces,
    "surroundings": _surroundings,
    "ports": _ports,
    "services": _services,
    "resources": _resources,
    "state": _state,
    "tools": _tools,
}

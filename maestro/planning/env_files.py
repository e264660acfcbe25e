"""The `.env.task` of a task as it is kept in a repository (I-3): where, and on which ports beside all the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from maestro.errors import BadInput
from maestro.model.ids import safe_name
from maestro.planning.ports import candidates, ports_of
from maestro.planning.task_environment import render, task_environment

FOLDER = ".zenflow/tasks"
TEMPLATE = "template"
"""The folder below it that is no task's."""

FILE = ".env.task"


def place_of(task_id: str) -> str:
    """Where the file of the task lies in its repository."""
    return f"{FOLDER}/{safe_name(task_id)}/{FILE}"


def variables_of(task_id: str, services: Mapping[str, int], others: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The variables of the task: on the formula's block, or on the first one after it of which no other file has a
    port. BadInput where none is left, or where the id cannot be a task's."""
    if not task_id.strip() or safe_name(task_id) == TEMPLATE:
        raise BadInput(f"{task_id!r} is no id of a task", hint="name the task whose services are meant")
    taken = {value for other in others for name, value in other.items() if name.endswith("_PORT")}
    for block in candidates(task_id):
        ports = ports_of(services, block)
        if taken.isdisjoint(map(str, ports.values())):
            return task_environment(task_id, ports)
    raise BadInput(
        "the files of other tasks have a port in each of the 1,000 blocks",
        hint=f"remove those below {FOLDER} that nobody needs any more",
    )


def text_of(variables: Mapping[str, str]) -> str:
    """The file. Its task is in it, so that nobody takes it for another's."""
    task = variables["ZENFLOW_TASK_ID"]
    heading = (
        f"Ports and names of the services of the task {task}; ../template/README.md says how they are worked out.\n"
        "Written by `maestro workspace env TASK --write`; a shell may source it, and docker compose may read it."
    )
    return render(variables, heading=heading)


def parse(text: str) -> dict[str, str]:
    """The variables of such a file; lines that are none do not count."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name: value for name, found, value in pairs if found}

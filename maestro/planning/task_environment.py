"""The variables that keep the services of one task apart from those of all others (I-3), and the file that has them.

Every value is made of letters, digits and a few signs that mean the same to a shell, to docker-compose of both eras
and to python-dotenv; so the file needs no quotes, about which they do not agree.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from maestro.errors import BadInput
from maestro.model.ids import safe_name

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VALUE = re.compile(r"[A-Za-z0-9_.:/@%+,-]*")
_LOWER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST = 44  # with all that is put around it, under the 63 bytes of a name in Postgres and of a host's name


def task_environment(task_id: str, ports: Mapping[str, int], *, repository: str | None = None) -> dict[str, str]:
    """The ports (which hold POSTGRES_PORT) and the names of a task: database, compose project, id.

    Names are fit for docker and Postgres whatever the id holds, and no two ids have the same ones. Where
    `repository` is given, no two repositories have them either: else they would share the services of their tasks 1.
    """
    name = _name(task_id, repository)
    database = f"zenflow_{name.replace('-', '_')}"
    return {
        "ZENFLOW_TASK_ID": safe_name(task_id),
        "COMPOSE_PROJECT_NAME": f"zenflow-{name}",
        **{variable: str(port) for variable, port in ports.items()},
        "POSTGRES_DB": database,
        "DATABASE_URL": f"postgresql://postgres:postgres@localhost:{ports['POSTGRES_PORT']}/{database}",
    }


def render(variables: Mapping[str, str], *, heading: str = "") -> str:
    """An `.env.task`: a shell may source it, docker-compose and python-dotenv read the same from it.

    `heading` becomes comments. BadInput for a variable that they would not all read alike.
    """
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    for name, value in variables.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadInput(
                f"{name} cannot stand in an .env.task file with the value {value!r}",
                hint="use letters, digits and the signs _ . : / @ % + , -",
            )
        lines.append(f"{name}={value}")
    return "\n".join(lines) + "\n"


def _name(task_id: str, repository: str | None) -> str:
    """Lower case, in which hyphens may become underscores and two ids still differ: `__` is in no plain one."""
    if len(task_id) <= _LONGEST and _LOWER.fullmatch(task_id):
        return task_id if repository is None else f"{task_id}__{_digest(repository)[:8]}"
    slug = re.sub(r"[^a-z0-9]+", "-", task_id.lower()).strip("-")[:32].strip("-") or "id"
    unique = _digest("\0".join((repository or "", task_id)))[:16]
    return f"{slug}__{unique}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

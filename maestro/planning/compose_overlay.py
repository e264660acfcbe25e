"""What the overlay for stacks of tasks (I-4) must know of the compose file below it.

Compose merges the two: an image of the overlay replaces the one below, and ports are only ever added. So the overlay
takes over the images that it finds, and what two stacks could not share is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

PLACES = tuple(
    f"{folder}{name}"
    for folder in ("", "infra/docker/", "infra/", "docker/", ".docker/")
    for name in ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
)
"""Where a project has its compose file; the first that is there counts."""

_SERVICE = re.compile(r"  ([a-z]+):")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")


def fitted(overlay: str, below: Mapping[str, Any]) -> str:
    """The overlay with the images of the file below, where that names one and builds none; services that it builds
    keep an image per task."""
    services = _mapping(below.get("services"))
    lines, service = [], ""
    for line in overlay.splitlines(keepends=True):
        heading = _SERVICE.match(line)
        service = heading[1] if heading else service
        image = _image(_mapping(services.get(service)))
        lines.append(f"    image: {json.dumps(image)}\n" if image and line.startswith("    image: ") else line)
    return "".join(lines)


def collisions(below: Mapping[str, Any], overlay: Mapping[str, Any], variables: Sequence[str]) -> list[str]:
    """What stacks of two tasks would have in common, one clause each. `variables`: those that differ from task to
    task. `overlay`: it too, parsed: what it names anew is no trouble."""
    ours = _mapping(overlay.get("services"))
    found: list[str] = []
    for name, one in _mapping(below.get("services")).items():
        found += [f"service {name} {said}" for said in _fixed(_mapping(one), variables, is_ours=name in ours)]
    for kind in ("networks", "volumes"):
        for name, one in _mapping(below.get(kind)).items():
            if name not in _mapping(overlay.get(kind)):
                found += [f"the {kind[:-1]} {name} {said}" for said in _shared(_mapping(one), variables)]
    return found


def _fixed(service: Mapping[str, Any], variables: Sequence[str], *, is_ours: bool) -> Iterator[str]:
    ports = service.get("ports")
    for port in map(_published, ports if isinstance(ports, list | tuple) else ()):
        if port and not _varies(port, variables):
            yield f"publishes the port {port}"
    container = service.get("container_name")
    if container and not is_ours and not _varies(str(container), variables):
        yield f"has the container_name {container}"
    if service.get("network_mode") == "host":
        yield "has the network of the host"


def _shared(one: Mapping[str, Any], variables: Sequence[str]) -> Iterator[str]:
    if one.get("external"):
        yield "is external"
    elif (name := one.get("name")) and not _varies(str(name), variables):
        yield f"is called {name} in every project"


def _image(service: Mapping[str, Any]) -> str | None:
    image = service.get("image")
    return str(image) if image and "build" not in service else None


def _published(port: object) -> str | None:
    """The machine's side of an entry; None where compose picks a free port."""
    if isinstance(port, Mapping):
        published = port.get("published")
        return str(published) if published not in (None, "", 0, "0") else None
    text = str(port).partition("/")[0]
    bare = re.sub(r"\$\{[^}]*\}", lambda found: "x" * len(found[0]), text)  # variables may hold colons
    if ":" not in bare:
        return None
    published = text[: bare.rindex(":")]
    return published if published.strip() and not published.endswith(":") else None


def _varies(text: str, variables: Sequence[str]) -> bool:
    return not set(_VARIABLE.findall(text)).isdisjoint(variables)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

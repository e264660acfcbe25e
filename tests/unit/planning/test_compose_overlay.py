"""What the overlay takes over from the compose file below it, and what is named as shared by all stacks (I-4)."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.planning.compose_overlay import collisions, fitted

VARIABLES = ("ZENFLOW_TASK_ID", "COMPOSE_PROJECT_NAME", "POSTGRES_PORT", "SEARCH_PORT")
OVERLAY: dict[str, Any] = {"services": {"db": {}, "backend": {}}, "networks": {"default": {}}, "volumes": {"data": {}}}
TEXT = """\
services:
  db:
    image: ${ZENFLOW_DB_IMAGE:-postgres:16-alpine}
    ports: []
  backend:
    image: backend:${ZENFLOW_TASK_ID:-local}
volumes:
  data:
    name: x
"""


def shared(**below: Any) -> list[str]:
    return collisions(below, OVERLAY, VARIABLES)


def test_images_that_are_named_below_are_taken_over() -> None:
    below = {"services": {"db": {"image": "pgvector/pgvector:${PG:-pg16}"}, "worker": {"image": "w"}}}
    assert fitted(TEXT, below) == TEXT.replace(
        "${ZENFLOW_DB_IMAGE:-postgres:16-alpine}", '"pgvector/pgvector:${PG:-pg16}"'
    )


@pytest.mark.parametrize("backend", [{"build": "."}, {"build": ".", "image": "shop"}, {}, None, {"image": None}])
def test_what_is_built_keeps_an_image_per_task(backend: Any) -> None:
    assert fitted(TEXT, {"services": {"backend": backend}}) == TEXT


@pytest.mark.parametrize(
    "below", [{}, {"services": None}, {"services": []}, {"services": {"db": "odd"}}, {"services": {"db": {"ports": 5}}}]
)
def test_a_file_that_says_nothing_changes_nothing(below: dict[str, Any]) -> None:
    assert fitted(TEXT, below) == TEXT
    assert shared(**below) == []


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("5432:5432", "5432"),
        ("127.0.0.1:5432:5432", "127.0.0.1:5432"),
        ("3000-3005:3000-3005/udp", "3000-3005"),
        ("${DB_PORT:-5432}:5432", "${DB_PORT:-5432}"),
        ({"target": 5432, "published": 5432}, "5432"),
        ({"target": 5432, "published": "5432-5440"}, "5432-5440"),
    ],
)
def test_a_fixed_port_is_named(port: Any, said: str) -> None:
    assert shared(services={"db": {"ports": [port]}}) == [f"service db publishes the port {said}"]


@pytest.mark.parametrize(
    "port",
    [
        "${POSTGRES_PORT:-5432}:5432",
        "$POSTGRES_PORT:5432",
        "127.0.0.1:${SEARCH_PORT}:9200/tcp",
        "8000",
        8000,
        "${INSIDE:-8000}",
        "127.0.0.1::8000",
        {"target": 8000},
        {"target": 8000, "published": "${SEARCH_PORT}"},
        {"target": 8000, "published": 0},
    ],
)
def test_a_port_that_is_the_tasks_own_or_anybodys_is_fine(port: Any) -> None:
    assert shared(services={"other": {"ports": [port]}}) == []


def test_names_that_stay_the_same_are_named() -> None:
    assert shared(
        services={
            "db": {"container_name": "shop-db"},  # the overlay gives it one
            "mail": {"container_name": "shop-mail", "network_mode": "host"},
            "own": {"container_name": "mail-${ZENFLOW_TASK_ID}"},
        },
        networks={"default": {"name": "replaced"}, "proxy": {"external": True}, "inner": None},
        volumes={"data": {"name": "replaced"}, "cache": {"name": "cache"}, "own": {"name": "c-${ZENFLOW_TASK_ID}"}},
    ) == [
        "service mail has the container_name shop-mail",
        "service mail has the network of the host",
        "the network proxy is external",
        "the volume cache is called cache in every project",
    ]

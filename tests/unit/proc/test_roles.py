"""What a run has besides attempts is called like no task."""

from __future__ import annotations

import pytest

from maestro.model.ids import is_plain, safe_names
from maestro.proc import roles

ROLES = (roles.GATE, roles.REFRESH, roles.COORDINATOR, roles.GATEWAY)


@pytest.mark.parametrize("role", ROLES)
def test_no_task_has_the_name_of_a_role(role: str) -> None:
    assert not is_plain(role)
    assert role not in safe_names([role, role.upper(), role.partition("__")[2]]).values()
    assert "/" not in role


def test_each_has_its_own() -> None:
    assert len(set(ROLES)) == len(ROLES)

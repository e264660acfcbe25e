"""The workspaces of the tasks that start first, made while what drives the run is still loaded (Q-1)."""

from __future__ import annotations

from contextlib import suppress

from maestro.config.settings import Settings
from maestro.errors import MaestroError
from maestro.model.offer import DELEGATE
from maestro.planning.beginning import first_starts
from maestro.resources.cores import usable_cores
from maestro.resources.throttle import shortage
from maestro.wiring.backlog import Backlog
from maestro.wiring.preparing import Prepared

_FOR_EACH_CORE = 2
"""More would not be ready any sooner than if their tasks made them."""

_ROOM_BYTES = 1 << 30
_FLOORS = 4
"""Free must be this much, and as often the floor: what is made ahead shall not be why a task cannot start."""


def warm(prepared: Prepared, settings: Settings, backlog: Backlog, run_id: str) -> None:
    """Begin to make them, if that is certain to do no harm; `end_warming` must follow, whatever happens."""
    if (count := _how_many(prepared, settings, backlog)) > 0:
        prepared.workspaces.warm(backlog.base, count, run_id)


def end_warming(prepared: Prepared) -> None:
    """Nothing stays of those that nobody came to use, nor the folder of the run's workspaces where it is empty."""
    with suppress(MaestroError, OSError):  # they are nobody's work, and `maestro clean` knows them
        prepared.workspaces.close()
    with suppress(OSError):
        prepared.root.rmdir()


def _how_many(prepared: Prepared, settings: Settings, backlog: Backlog) -> int:
    """As many as are sure to start at once; none where the machine may be short of something."""
    options = prepared.options
    if settings.agent == DELEGATE:  # a session takes its tasks when it likes
        return 0
    limits = (options.group_parallel, *options.agent_limits.values())
    most = min(options.max_parallel, _FOR_EACH_CORE * usable_cores(), *(one for one in limits if one is not None))
    count = first_starts(backlog.plan, most)
    reading, floor = prepared.machine(), options.bearable.min_free_disk
    if count == 0 or shortage(reading, options.bearable) is not None or reading.free_disk is None:
        return 0
    return count if reading.free_disk >= max(_ROOM_BYTES, _FLOORS * floor) else 0

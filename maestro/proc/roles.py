"""Who a process of a run is where it belongs to no task: what its marker says after token and run.

There the markers of attempts have the safe name of their task. Such a name is plain, without `__`, or ends in `__` and
16 hex digits: a task of the id `gate` shares no family of processes with the run's tests.
"""

from __future__ import annotations

GATE = "role__gate"
"""The tests, and the set-up before them."""

REFRESH = "role__refresh"
"""What looks up the context of a group before it starts."""

COORDINATOR = "role__coordinator"
"""What a coordinator itself calls: git and the tracker's program."""

GATEWAY = "role__gateway"
"""The gateway, which agents that live on still need."""

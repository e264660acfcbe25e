#!/usr/bin/env python3
"""maestro for scripts: `detect`, `execute`, `list`, `status` and `wait`, and the classes behind them (C-2).

It holds no logic of its own: it finds the package `maestro`, beside it in a checkout or installed, and hands over.
"""

from __future__ import annotations

import sys
from pathlib import Path

_root = Path(__file__).resolve().parents[3]
if (_root / "maestro" / "coordinator.py").is_file():
    sys.path.insert(0, str(_root))  # before .flow, whose folder `maestro` has the package's name

try:
    from maestro.coordinator import GroupMetadata, GroupPhase, ParallelCoordinator, TaskMetadata, TaskStatus
except ModuleNotFoundError as error:
    if __name__ != "__main__":
        raise
    print(f"Error: Python at {sys.executable} has no module {error.name}.", file=sys.stderr)  # noqa: T201
    print("Hint: Install maestro for it: pip install flow-maestro.", file=sys.stderr)  # noqa: T201
    sys.exit(2)

__all__ = ["GroupMetadata", "GroupPhase", "ParallelCoordinator", "TaskMetadata", "TaskStatus"]

if __name__ == "__main__":
    from maestro.cli.main import main

    sys.exit(main())

"""`python -m maestro`."""

from __future__ import annotations

import sys

from maestro.cli.main import main

sys.exit(main())

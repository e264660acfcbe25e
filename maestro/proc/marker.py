"""The variable by which processes are known to belong together, whatever they do later."""

from __future__ import annotations

MARKER = "MAESTRO_ATTEMPT"
"""The environment variable by which all processes of an attempt are found (A-4)."""

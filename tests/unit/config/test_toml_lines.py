"""The line of a key, told from the text."""

from __future__ import annotations

import tomllib

import pytest

from maestro.config.toml_lines import line_of

TEXT = '''# comment
a = 1
b = """
a = 2
[t]
"""  # end
"c-d" = [
  "e = 1",
]
[t]
a = 3
x.y = 4
[tool.maestro.agents."my agent"]
z = 5
[[many]]
q = 6
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 2),
        (("b",), 3),
        (("c-d",), 7),
        (("t",), 10),
        (("t", "a"), 11),
        (("t", "x", "y"), 12),
        (("tool", "maestro", "agents"), 13),
        (("tool", "maestro", "agents", "my agent", "z"), 14),
        (("many", "q"), 16),
        (("e",), None),
    ],
)
def test_line(path: tuple[str, ...], line: int | None) -> None:
    assert tomllib.loads(TEXT)  # the sample is what the real reader accepts
    assert line_of(TEXT, path) == line

"""The shapes in which one secret meets us again: as it is, escaped, encoded, or one line of several."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Letters of the shortest value that is taken for a secret: shorter ones stand in every text by chance."""

_SHORTEST_LINE = 16
"""The same for one line of a value that has several."""


def forms_of(value: str) -> set[str]:
    """All texts that stand for the value where something printed it. None is shorter than SHORTEST letters."""
    return {form for each in (value, *_lines(value)) for form in _forms(each) if len(form) >= SHORTEST}


def _lines(value: str) -> Iterator[str]:
    """What is printed line by line, as a private key is, must not be met line by line."""
    lines = value.split("\n")
    if len(lines) > 1:
        yield from (line for line in map(str.strip, lines) if len(line) >= _SHORTEST_LINE and "-----" not in line)


def _forms(value: str) -> Iterator[str]:
    yield value
    yield from _escaped(value)
    for quoted in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield quoted
        yield _lower_hex(quoted)
    raw = value.encode("utf-8", "surrogateescape")
    yield from (raw.hex(), raw.hex().upper())
    yield from _base64(raw)


def _escaped(value: str) -> Iterator[str]:
    """In a JSON text, in a JSON text inside of another, in XML, and between quotes of a shell."""
    for as_ascii in (True, False):
        once = json.dumps(value, ensure_ascii=as_ascii)[1:-1]
        yield once
        yield json.dumps(once, ensure_ascii=as_ascii)[1:-1]
    in_xml = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield in_xml
    for double, single in (("&quot;", "&#39;"), ("&quot;", "&#x27;"), ("&quot;", "&apos;"), ("&#34;", "&#39;")):
        yield in_xml.replace('"', double)
        yield in_xml.replace('"', double).replace("'", single)
    yield value.replace("'", "'\\''")
    yield value.replace("'", "'\"'\"'")
    yield "".join(f"\\{letter}" if letter in '"$`\\' else letter for letter in value)


def _lower_hex(quoted: str) -> str:
    parts = quoted.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])


def _base64(raw: bytes) -> Iterator[str]:
    """Wherever the value stands in what was encoded: three letters hold four, so there are three ways, and those at
    the ends depend on the neighbours and are left out."""
    for before in range(3):
        after = -(before + len(raw)) % 3
        code = base64.b64encode(b"\0" * before + raw + b"\0" * after)
        first = (0, 2, 3)[before]  # letters that hold bits of what stands before
        last = len(code) - (0, 2, 3)[after]
        core = code[first:last].decode()
        yield core
        yield core.replace("+", "-").replace("/", "_")

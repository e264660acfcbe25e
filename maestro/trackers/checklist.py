"""Markdown check lists as items with their places (T-4); pure, and blind to code fences and HTML comments.

An item is an outermost list line with a box. What is indented below it, nested boxes too, is its description. A heading
ends it. The id is the leading token `T001`, `ABC-12`, `1.2` or `3.` where there is one, else a slug of the text: it
stays the same when boxes are ticked and when other items are added.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from dataclasses import dataclass, field

_BOX = re.compile(r"(?P<indent>[ \t]*)(?:[-*+]|\d+[.)])[ \t]+\[(?P<mark>[ xX])\](?:[ \t]+(?P<text>.*))?$")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(?P<text>.*?)[ \t]*#*$")
_FENCE = re.compile(r"[ \t]*(?P<fence>`{3,}|~{3,})(?P<rest>.*)$")
_ID = re.compile(
    r"(?P<bold>\*\*|`)?(?P<id>T\d+|[A-Z][A-Z0-9]*-\d+|\d+(?:\.\d+)+|\d+(?=\.(?:\*\*|`)?\s))(?!\w)"
    r"[.:]?(?(bold)(?:\*\*|`)[.:]?)(?:\s+[-–—](?=\s))?\s+(?=\S)"
)


@dataclass
class Item:
    """One outermost check box."""

    id: str
    text: str  # what follows the box, without the id
    ticked: bool
    line: int  # index of its line
    column: int  # of the mark between the brackets
    section: int  # headings before it: items of one number stand below the same heading
    headings: tuple[str, ...]  # the headings it is below, outermost first
    has_own_id: bool
    body: list[str] = field(default_factory=list)

    @property
    def description(self) -> str:
        """The lines below it, without their common indentation."""
        return textwrap.dedent("\n".join(self.body)).strip("\n")


def lines_of(text: str) -> list[str]:
    """Lines as Markdown has them: only `\\n` ends one, a `\\r` before it stays with its line."""
    return text.split("\n")


def items_of(text: str) -> list[Item]:
    """All items in their order. Two with the same explicit id are both kept."""
    reader = _Reader()
    for index, line in enumerate(lines_of(text)):
        reader.take(index, line.removesuffix("\r"))
    return reader.items


def ticked(text: str, item: Item, *, done: bool) -> str:
    """`text` with the one box ticked or cleared."""
    lines = lines_of(text)
    line = lines[item.line]
    lines[item.line] = f"{line[: item.column]}{'x' if done else ' '}{line[item.column + 1 :]}"
    return "\n".join(lines)


class _Reader:
    def __init__(self) -> None:
        self.items: list[Item] = []
        self._open: Item | None = None
        self._indent = 0
        self._fence = ""
        self._in_comment = False
        self._section = 0
        self._headings: dict[int, str] = {}
        self._slugs: dict[str, int] = {}

    def take(self, index: int, line: str) -> None:
        is_inside = bool(self._fence) or self._in_comment
        if self._is_hidden(line):
            if is_inside and self._open:  # a block that began below the item belongs to it to its end
                self._open.body.append(line)
            else:
                self._continue(line)
        elif heading := _HEADING.match(line):
            self._open = None
            self._section += 1
            level = len(line.lstrip()) - len(line.lstrip().lstrip("#"))
            self._headings = {have: text for have, text in self._headings.items() if have < level}
            self._headings[level] = heading["text"]
        elif box := _BOX.match(line):
            if self._open and _width(box["indent"]) > self._indent:
                self._continue(line)
            else:
                self._begin(index, box)
        else:
            self._continue(line)

    def _is_hidden(self, line: str) -> bool:
        """Whether the line is code or comment, where nothing is an item or a heading."""
        if self._in_comment:
            self._in_comment = "-->" not in line
            return True
        fence = _FENCE.match(line)
        if self._fence:
            if fence and fence["fence"].startswith(self._fence) and not fence["rest"].strip():
                self._fence = ""
            return True
        if fence and not (fence["fence"][0] == "`" and "`" in fence["rest"]):
            self._fence = fence["fence"]
            return True
        if line.lstrip().startswith("<!--"):
            self._in_comment = "-->" not in line
            return True
        return False

    def _continue(self, line: str) -> None:
        """A line below the open item belongs to it while it is indented deeper; other text ends the item."""
        if self._open is None:
            return
        if not line.strip() or _width(line[: len(line) - len(line.lstrip())]) > self._indent:
            self._open.body.append(line)
        else:
            self._open = None

    def _begin(self, index: int, box: re.Match[str]) -> None:
        text = (box["text"] or "").strip()
        given = _ID.match(text)
        rest = text[given.end() :] if given else text
        self._indent = _width(box["indent"])
        self._open = Item(
            id=given["id"] if given else self._slug(text),
            text=rest,
            ticked=box["mark"] != " ",
            line=index,
            column=box.start("mark"),
            section=self._section,
            headings=tuple(self._headings[level] for level in sorted(self._headings)),
            has_own_id=given is not None,
        )
        self.items.append(self._open)

    def _slug(self, text: str) -> str:
        """An id from the text: readable, and told apart by a hash where the slug does not say it all."""
        slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        if len(slug) > 40 or not slug or not text.isascii():
            slug = f"{slug[:33].strip('-') or 'item'}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
        count = self._slugs[slug] = self._slugs.get(slug, 0) + 1
        return slug if count == 1 else f"{slug}-{count}"


def _width(indent: str) -> int:
    return len(indent.expandtabs(4))

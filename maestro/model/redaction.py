"""Keeps secrets out of what maestro writes and shows (one module, used by every writer).

Two things are masked: values known to be secret, in whatever shape they were printed (`secret_forms`), and what
looks like a secret whoever owns it (`secret_shapes`). Both are found in the text as it came and masked together, so
that no half of one is left by the other. Masking again changes nothing.

Known values are looked for one by one: searching for a word skips most of a text, which one pattern of all words
cannot; 60 words in 1 MiB take 6 ms so, and 50 ms as a pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from maestro.model.secret_forms import SHORTEST, forms_of
from maestro.model.secret_names import is_worth_hiding, secrets_in_environment
from maestro.model.secret_shapes import shaped_like_secrets

MASK = "***"

Finder = Callable[[str], Iterator[tuple[int, int]]]


class Redactor:
    """Masks texts. Values may be added while it is in use, from any thread."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: frozenset[str] = frozenset()
        self._words: tuple[str, ...] = ()
        self._byte_words: tuple[str, ...] = ()  # the same, of bytes read one letter each
        self.longest = SHORTEST
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Know more values, such as keys of a pool. Those too short or too common to be secrets are left aside."""
        new = {value for value in map(str.strip, values) if is_worth_hiding(value)} - self._values
        if not new:
            return
        self._values |= new
        words = set(self._words).union(*map(forms_of, new))
        self._words = tuple(sorted(words))
        self._byte_words = tuple(sorted({_as_bytes(word) for word in words}))
        self.longest = max(map(len, self._byte_words))

    @property
    def words(self) -> tuple[str, ...]:
        """All texts that it looks for: the values in every shape."""
        return self._words

    def knows(self, value: str) -> bool:
        """Whether the value is one of those known."""
        return value.strip() in self._values

    def mask(self, text: str) -> str:
        """The text with every secret as `***`."""
        return _masked(text, self._secrets)

    def mask_known(self, text: str) -> str:
        """The same for known values only: a prompt may speak of what a key looks like."""
        return _masked(text, self._known)

    def mask_bytes(self, data: bytes) -> bytes:
        """The same for bytes, which need be no text; those outside of secrets stay as they are."""
        text = data.decode("latin-1")  # one letter for each byte: nothing is lost, and nothing is guessed
        masked = _masked(text, self.in_bytes)
        return data if masked is text else masked.encode("latin-1")

    def mask_tree(self, value: Any, keep: frozenset[str] = frozenset()) -> Any:
        """A JSON value with its texts masked; keys, and what stands under those in `keep`, are left as they are."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, Mapping):
            return {key: one if key in keep else self.mask_tree(one, keep) for key, one in value.items()}
        return [self.mask_tree(one, keep) for one in value] if isinstance(value, list | tuple) else value

    def in_bytes(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets stand in bytes that were read one letter each."""
        yield from _places(text, self._byte_words)
        yield from shaped_like_secrets(text)

    def _secrets(self, text: str) -> Iterator[tuple[int, int]]:
        yield from self._known(text)
        yield from shaped_like_secrets(text)

    def _known(self, text: str) -> Iterator[tuple[int, int]]:
        return _places(text, self._words)


def redactor_of(environ: Mapping[str, str], more: Iterable[str] = ()) -> Redactor:
    """One that knows the values of variables whose names say that they are secret, and `more`."""
    return Redactor((*secrets_in_environment(environ), *more))


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same places in order, those that touch or overlap as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def replaced(text: str, spans: Iterable[tuple[int, int]], start: int = 0, end: int | None = None) -> str:
    """The part of the text from `start` to `end` with the mask in each of these places."""
    parts, position = [], start
    for first, last in spans:
        parts += [text[position:first], MASK]
        position = last
    parts.append(text[position:end])
    return "".join(parts)


def _masked(text: str, find: Finder) -> str:
    """Until nothing is left to mask: where one secret stood in front of another, the second shows its beginning only
    then. Each round makes the text shorter, and the usual text needs none."""
    while spans := merged(find(text)):
        text = replaced(text, spans)
    return text


def _places(text: str, words: Iterable[str]) -> Iterator[tuple[int, int]]:
    for word in words:
        at = text.find(word)
        while at >= 0:
            yield at, at + len(word)
            at = text.find(word, at + 1)


def _as_bytes(word: str) -> str:
    return word.encode("utf-8", "surrogateescape").decode("latin-1")

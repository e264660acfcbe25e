"""Log records without secrets, whoever handles them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from maestro.model.redaction import Redactor

_FORMATTER = logging.Formatter()


class HideSecrets(logging.Filter):
    """Masks the words of a record and its traceback; lets every record through."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the masked text in the place of message and values."""
        record.msg, record.args = self._redactor.mask(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = _FORMATTER.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._redactor.mask(record.exc_text)
        return True


@contextlib.contextmanager
def no_secret_in_logs(redactor: Redactor) -> Iterator[None]:
    """As long as this lasts, nothing that maestro or its event loop logs holds a secret.

    A filter of a logger sees only what is logged by that very one, so each gets it; what handles records where
    nobody has set up logging sees the others' too.
    """
    hide = HideSecrets(redactor)
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ("maestro", "asyncio")]
    filtered: list[logging.Filterer] = [logging.getLogger(name) for name in names]
    if logging.lastResort is not None:
        filtered.append(logging.lastResort)
    for one in filtered:
        one.addFilter(hide)
    try:
        yield
    finally:
        for one in filtered:
            one.removeFilter(hide)

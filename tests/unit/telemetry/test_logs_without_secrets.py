"""What is logged holds no secret, whoever handles it."""

from __future__ import annotations

import logging

import pytest

from maestro.model.redaction import Redactor
from maestro.telemetry.logs import no_secret_in_logs

SECRET = "Pl4nted-secret"


def test_words_values_and_tracebacks_are_masked(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("maestro.a.module.of.tests")
    with no_secret_in_logs(Redactor([SECRET])):
        log.warning("the key %s of %d", SECRET, 3)
        try:
            raise ValueError(SECRET)
        except ValueError:
            log.exception("it failed with %s", {"key": SECRET})
    log.warning("afterwards %s", SECRET)

    assert SECRET not in caplog.text.partition("afterwards")[0]
    assert "the key *** of 3" in caplog.text
    assert "ValueError: ***" in caplog.text
    assert f"afterwards {SECRET}" in caplog.text


def test_what_has_no_handler_is_masked_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    last = logging.lastResort
    assert last is not None
    with no_secret_in_logs(Redactor([SECRET])):
        record = logging.LogRecord("elsewhere", logging.ERROR, "f.py", 1, "of a library: %s", (SECRET,), None)
        last.handle(record)

    assert capsys.readouterr().err == "of a library: ***\n"

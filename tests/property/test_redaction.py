"""Whatever is printed, in whatever pieces: no known secret is left, and masking again changes nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from maestro.model.masked_stream import HELD_BACK, MaskedStream
from maestro.model.redaction import Redactor
from maestro.model.secret_forms import forms_of

LETTERS = st.text(alphabet="abXY019-_=+/%:@.\" \\\n\t<&'*skghpeyJ", min_size=0, max_size=40)
SECRETS = st.lists(
    st.text(alphabet="abcXYZ0189-_+/=%\"\\'<&@: \näé", min_size=8, max_size=60).map(str.strip), min_size=1, max_size=4
)
SHAPED = st.sampled_from(
    ["sk-ant-abcdefgh1234", "ghp_" + "a" * 36, "https://u:passw0rd@h", "Authorization: Bearer abcdefgh", "eyJ", "sk-",
     "x-api-key: abcdefgh", "-----BEGIN PRIVATE KEY-----\n" + "QUJD" * 20 + "\n-----END PRIVATE KEY-----", "://", "@"]
)  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> tuple[Redactor, str]:
    redactor = Redactor(draw(SECRETS))
    forms = sorted(redactor.words) or ["nothing"]
    pieces = draw(st.lists(st.one_of(LETTERS, SHAPED, st.sampled_from(forms)), max_size=12))
    return redactor, "".join(pieces)


@given(texts())
@settings(max_examples=200, deadline=None)
def test_no_known_form_is_left_and_masking_again_changes_nothing(case: tuple[Redactor, str]) -> None:
    redactor, text = case

    told = redactor.mask(text)

    assert not [word for word in redactor.words if word in told]
    assert redactor.mask(told) is told
    assert len(told) <= len(text)


@given(texts())
@settings(max_examples=200, deadline=None)
def test_bytes_are_masked_as_texts_are(case: tuple[Redactor, str]) -> None:
    redactor, text = case

    told = redactor.mask_bytes(text.encode())

    assert not [word for word in redactor.words if word.encode() in told]
    assert redactor.mask_bytes(told) is told


@given(texts(), st.lists(st.integers(1, 200_000), min_size=1, max_size=6), st.integers(0, 3 * HELD_BACK))
@settings(max_examples=60, deadline=None)
def test_pieces_hide_no_secret(case: tuple[Redactor, str], sizes: list[int], padding: int) -> None:
    redactor, text = case
    data = ("x y\n" * (padding // 4) + text + "\nz w" * (HELD_BACK // 2) + text).encode()
    stream, out, at, turn = MaskedStream(redactor), b"", 0, 0

    while at < len(data):
        size = sizes[turn % len(sizes)]
        out += stream.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    out += stream.end()

    assert not [word for word in redactor.words if word.encode() in out]
    assert stream.found == (out != data)
    assert out == redactor.mask_bytes(data)


@given(st.lists(st.text(alphabet="abcXYZ0189-_+", min_size=8, max_size=30), min_size=1, max_size=3), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_a_watcher_gets_whole_lines_without_secrets(secrets: list[str], size: int) -> None:
    redactor = Redactor(secrets)
    data = "".join(f"line {number}: {secret} said\n" for number, secret in enumerate(secrets * 20)).encode()
    stream, out = MaskedStream(redactor), b""

    for at in range(0, len(data), size):
        out += stream.feed(data[at : at + size])
        out += stream.lines()
        assert out.endswith(b"\n") or not out
    out += stream.end()

    assert out == redactor.mask_bytes(data)


def test_forms_are_never_short() -> None:
    assert min(map(len, forms_of("12345678"))) >= 8

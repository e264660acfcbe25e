"""What is masked, and what is left as it is."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest

from maestro.model.redaction import MASK, Redactor, redactor_of
from maestro.model.secret_names import is_secret_name, is_worth_hiding, secrets_in_credentials, secrets_in_tree

SECRET = "Pl4nted\"se<cret&/+'\\x-9"
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(["MIIEpAIBAAKCAQEA" * 4] * 6) + "\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(json.dumps({"text": SECRET})),
        quote(SECRET),
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"user:{SECRET}".encode()).decode(),
        base64.b64encode(f"me:{SECRET}:more".encode()).decode(),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        escape(SECRET),
        escape(SECRET, {'"': "&quot;", "'": "&#39;"}),
    ],
)
def test_a_known_value_is_masked_in_every_encoding(form: str) -> None:
    told = Redactor([SECRET]).mask(f"before {form} after")

    assert told.startswith("before ")
    assert told.endswith(" after")
    core = form.strip('"=')
    assert core[4:-4] not in told
    assert MASK in told


def test_percent_signs_may_be_followed_by_small_letters() -> None:
    assert Redactor(["Pl4nted/s?cret"]).mask("at Pl4nted%2fs%3fcret") == "at ***"


SHAPES = [
    "sk-ant-api03-abcdEFGH_1234-5678",
    "sk-proj-abcdEFGH12345678",
    "sk-" + "a1B2" * 12,
    "ghp_" + "a1B2" * 9,
    "gho_" + "a1B2" * 9,
    "github_pat_" + "a1B2_" * 9,
    "glpat-abcDEF123456-_78901",
    "AKIAIOSFODNN7EXAMPLE",
    "xoxb-123456789012-abcdef",
    "xoxp-123456789012-abcdef",
    "AIza" + "Sy_-1" * 7,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "maestro-dG9rZW4vcnVuL3Rhc2svMQ." + "0a1b2c" * 8,
    PEM,
    PEM.rpartition("\n")[0],  # its end was cut off
    PEM.replace("\n", "\\n"),
]


@pytest.mark.parametrize("secret", SHAPES, ids=lambda secret: secret[:24])
@pytest.mark.parametrize("before", ["", " ", "KEY=", '"', "\\n", "\x1b[1m", "\\u001b[31m", "%3A"])
def test_what_looks_like_a_secret_is_masked_whole(secret: str, before: str) -> None:
    assert Redactor().mask(f"{before}{secret}") == f"{before}{MASK}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic ***"),
        ('{"Authorization":"Bearer abcdef123"}', '{"Authorization":"Bearer ***"}'),
        ("curl -H 'x-api-key: s3cr3t-value'", "curl -H 'x-api-key: ***'"),
        ("X-Goog-Api-Key=abcdefgh", "X-Goog-Api-Key=***"),
        ("https://me:hunter22@example.org/x.git", "https://***@example.org/x.git"),
        ("postgres://u:p%40ss@db:5432/x and a@b", "postgres://***@db:5432/x and a@b"),
        ("Bearer 0123456789abcdefABCDEF", "Bearer ***"),
    ],
)
def test_only_the_secret_part_of_a_header_or_address_is_masked(text: str, told: str) -> None:
    assert Redactor().mask(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "the task-ant-colony-optimisation-0123456789 of maestro/run-1/task-proj-overview-page",
        "a risk-0123456789abcdef0123456789abcdef0123456789abcdef branch",
        "http://127.0.0.1:8000/@vite/client and git@github.com:me/it.git",
        "ssh://git@example.org/x.git",
        "bearer of good news; Authorization: none",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "x-api-key: $KEY",
        "eyJ is how a token begins",
        "it starts with -----BEGIN PRIVATE KEY----- they say",
        "20261121-190000-ab12",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor(["Pl4nted-secret"]).mask(text) == text


def test_a_secret_that_overlaps_another_leaves_no_half_of_it() -> None:
    redactor = Redactor(["first-secret-shared", "shared-second-secret", "a pass phrase with blanks"])

    assert redactor.mask("<first-secret-shared-second-secret>") == "<***>"
    assert redactor.mask("Authorization: Bearer a pass phrase with blanks!") == "Authorization: Bearer ***!"


def test_a_secret_that_shows_only_when_another_is_gone_is_masked_too() -> None:
    assert Redactor(["Pl4nted-secretX"]).mask("Pl4nted-secretXsk-ant-abcdefgh") == MASK * 2


def test_values_come_in_while_it_is_in_use() -> None:
    redactor = Redactor()
    redactor.add(["\n k3y-of-the-pool \n", "short", "true", "/home/me/project"])

    assert redactor.mask("k3y-of-the-pool short true /home/me/project") == "*** short true /home/me/project"
    assert redactor.knows("k3y-of-the-pool")


def test_lines_of_a_value_are_known_one_by_one() -> None:
    value = "-----BEGIN ODD THING-----\nline-one-of-the-value-1\nline-two-of-the-value-2\n-----END ODD THING-----"

    assert Redactor([value]).mask("got line-two-of-the-value-2 here") == "got *** here"


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    redactor = Redactor(["pässwörter-ß1"])

    assert redactor.mask_bytes(b"\xff\x00" + "pässwörter-ß1".encode() + b"\xfe") == b"\xff\x00***\xfe"
    clean = b"\xff\x00nothing\xfe"
    assert redactor.mask_bytes(clean) is clean


def test_a_prompt_may_speak_of_what_keys_look_like() -> None:
    text = "send `Authorization: Bearer my-token-value-0123456789` and Pl4nted-secret"

    assert Redactor(["Pl4nted-secret"]).mask_known(text) == text.replace("Pl4nted-secret", MASK)


def test_a_tree_keeps_its_keys_and_what_is_to_be_kept() -> None:
    redactor = Redactor(["Pl4nted-secret"])
    tree = {"Pl4nted-secret": ["Pl4nted-secret", 1, None], "kept": "Pl4nted-secret", "deep": {"x": ("Pl4nted-secret",)}}

    assert redactor.mask_tree(tree, frozenset({"kept"})) == {
        "Pl4nted-secret": [MASK, 1, None],
        "kept": "Pl4nted-secret",
        "deep": {"x": [MASK]},
    }


@pytest.mark.parametrize(
    "name",
    ["API_KEY", "ANTHROPIC_API_KEY", "GITHUB_TOKEN", "GH_PAT", "PGPASSWORD", "DB_PASSWD", "MY_SECRET_SAUCE", "AUTH",
     "CLIENT_CREDENTIALS", "clientSecret", "npm_config__authToken", "SSH_PASSPHRASE", "SESSION_COOKIE", "MYSQL_PWD",
     "SENTRY_DSN"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["SSH_AUTH_SOCK", "KEYBOARD", "KEYBOARD_LAYOUT", "GIT_AUTHOR_NAME", "PATH", "HOME", "AUTHORS", "TOKENIZER_PATH",
     "AWS_ACCESS_KEY_ID", "PWD", "OLDPWD", "GOOGLE_CREDENTIALS_FILE", "PASSENGER", "COMPASS_HEADING", "SECRETARY",
     "AUTH_PROVIDER"],
)  # fmt: skip
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "value",
    ["short", "true", "password", "/home/me/.ssh/agent.123", "/run/user/1000/keyring/ssh", "~/keys/mine", "--------",
     "", "/etc", "/home/me/projekt ü (alt)/src", "http://localhost:3000/callback", "https://login.example.com/oauth"],
)  # fmt: skip
def test_values_not_worth_hiding(value: str) -> None:
    assert not is_worth_hiding(value)


@pytest.mark.parametrize(
    "value",
    [
        "hunter22",
        "/K7MDENG/bPxRfiCYEXAMPLEKEY+x=",
        "/9j4AAQSkZJRgABAQEAYABgAAD",
        "12345679",
        "https://hooks.example.com/T0/aB3dE5gH7jK9mN1pQ3sT",
        "postgres://u:secret@db/x",
    ],
)
def test_values_worth_hiding(value: str) -> None:
    assert is_worth_hiding(value)


def test_the_environment_is_judged_by_names_and_by_addresses_with_passwords() -> None:
    redactor = redactor_of(
        {
            "API_KEY": "Pl4nted-secret",
            "EDITOR": "editor-of-mine",
            "MAX_OUTPUT_TOKENS": "123456789",
            "API_KEY_HELPER_TTL_MS": "123456789",
            "HTTPS_PROXY": "http://me:pr0xy%2Bpass@proxy:3128",
        },
        ["k3y-from-elsewhere"],
    )
    text = "Pl4nted-secret editor-of-mine 123456789 pr0xy%2Bpass pr0xy+pass k3y-from-elsewhere"

    assert redactor.mask(text) == "*** editor-of-mine 123456789 *** *** ***"


def test_settings_are_judged_by_their_keys() -> None:
    servers = {
        "one": {"command": "npx", "args": ["-y", "a-server-package"], "env": {"SERVICE": "a1b2c3d4e5f6a7b8c9"}},
        "two": {
            "url": "https://x.org/mcp",
            "headers": {"Authorization": "Bearer my-own-token"},
            "env": {"MODE": "verbosely"},
        },
    }

    assert {one for one in secrets_in_tree(servers) if one} == {
        "a1b2c3d4e5f6a7b8c9",
        "Bearer my-own-token",
        "my-own-token",
    }


def test_credentials_of_git() -> None:
    text = "https://me:t0ken%2Fone@example.org\nhttps://t0ken-alone@example.com\n"

    assert set(secrets_in_credentials(text)) == {"t0ken%2Fone", "t0ken/one", "t0ken-alone"}


EVIL = [
    "-----BEGIN PRIVATE KEY-----", "eyJ", "eyJaaaaaaaa.", "sk-", "sk-ant-", "://", "://a:", "a:", "[1meyJ", "\\neyJ",
    "%41eyJ", "authorization:", "Authorization: Bearer ", "x-api-key=\\\\", "AKIA", "bearer    ", "-", "xox", "y",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n", "PRIVATE KEY-----BEGIN A ",
]  # fmt: skip


@pytest.mark.parametrize("piece", EVIL)
def test_no_text_takes_long(piece: str) -> None:
    redactor = Redactor(["Pl4nted-secret", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyx"])
    text = "://" + piece * (400_000 // len(piece)) + "@"
    started = time.process_time()

    redactor.mask(text)

    assert time.process_time() - started < 5.0  # 20 to 80 ms; anything that grows with the square takes minutes


def test_help_needs_none_of_it() -> None:
    code = (
        "import sys; from maestro.cli.main import main\n"
        "try: main(['--help'])\n"
        "finally: print([name for name in sys.modules if 'redaction' in name or 'secret' in name], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr.strip().splitlines()[-1] in ("[]", "['secrets']")


@pytest.mark.parametrize(
    "text",
    [
        "self.authorization = AuthorizationMiddleware(app)",
        "const authorization = request.headers.authorization;",
        "sign(authorization=authorization, key=key)",
        "the bearer token-authentication-middleware was changed",
        "the standard bearer src/auth/handlers/middleware.py",
    ],
)
def test_words_and_names_of_code_are_no_secrets(text: str) -> None:
    assert Redactor().mask(text) is text


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Basic dXNlcjpwYXNz",
        "Authorization: Bearer correct-horse-battery",
        "authorization=dXNlcjpwYXNzd29yZA==",
        "Bearer abcdefghijklmnopqrstuvwxyz",
        "x-api-key: aBcDeFgHiJkL",
        "sk-proj-AbCdEfGhIjKl",
    ],
)
def test_what_no_word_looks_like_is_one_without_a_digit_too(text: str) -> None:
    assert Redactor().mask(text).endswith("***")


def test_a_picture_in_base64_stays_whole() -> None:
    """Four letters come by in any of them; a key begins where a word does."""
    picture = "iVBORw0KGgo" + "AIza" + "q7B2mX9dL0cV5tR8wK3nJ6hG1fS4aPzYuE" * 2
    assert Redactor().mask(picture) is picture
    assert Redactor().mask("key=AIza" + "q7B2mX9dL0cV5tR8wK3nJ6hG1fS4aPzYuE") == "key=***"

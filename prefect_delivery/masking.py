"""Hide secret values in what is shown."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

HIDDEN = "***"
REDACTED = "****"
"""What stands where CodePipeline does not give a secret out."""

SECRET_KEYS = frozenset({"OAuthToken", "ClientSecret", "RefreshToken", "ClientToken"})
"""Configuration keys of CodePipeline whose values it answers as `****`."""

SHORTEST = 8
"""Characters below which a value is too common a text to be looked for."""

# What a shell, a template or CodePipeline fills in is no secret by itself.
_FILLED_IN = r"(?:\$|\{\{|<|#\{)"
# With http(s) a token may stand in the place of the user, so that is hidden as well.
_CREDENTIALS = re.compile(
    rf"(https?://|ssh://[^\s/:@]*:)(?![^\s/@]*{_FILLED_IN}|\*+@)[^\s/?#\"']+(?=@)",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(rf"\*+|{_FILLED_IN}.*", re.DOTALL)
# Names of Prefect blocks have small letters, digits and dashes. The digits of a token
# have them as well.
_REFERENCE = re.compile(
    rf"env:\w+|(?![0-9a-f]{{40}}$)[a-z0-9-]+|{_PLACEHOLDER.pattern}"
)
NAMES_A_SECRET = ("api_token", "credentials", "oauth_token")
"""Parameters of actions that hold the name of a secret."""

_KEYS = "|".join([*sorted(SECRET_KEYS), *NAMES_A_SECRET])
_SECRET_LINE = re.compile(rf"""\b((?:{_KEYS})["']?\s*[:=]\s*["']?)([^\s"',}}]+)""")


def without_credentials(text: str) -> str:
    """Text with `****` for what URLs in it hold before the host."""
    return _CREDENTIALS.sub(rf"\1{REDACTED}", text)


def holds_credentials(value: str) -> bool:
    """Whether a value is a URL with credentials in it; text around a URL is ignored."""
    return not re.search(r"\s", value) and without_credentials(value) != value


def is_literal_secret(value: str) -> bool:
    """Whether a secret's value is there itself, not masked and no reference to it.

    One that is shorter than secrets are stands for none.
    """
    return len(value) >= SHORTEST and not _PLACEHOLDER.fullmatch(value)


def names_a_secret(value: str) -> bool:
    """Whether a value can name a Secret block or a variable of the worker."""
    return _REFERENCE.fullmatch(value) is not None


def source_line(text: str) -> str:
    """A line of a file as it may be shown, with all characters where they were."""
    text = _CREDENTIALS.sub(lambda found: found[1] + _stars(found), text)
    return _SECRET_LINE.sub(
        lambda found: (
            found[0] if names_a_secret(found[2]) else found[1] + _stars(found)
        ),
        text,
    )


def _stars(found: re.Match[str]) -> str:
    return "*" * (len(found[0]) - len(found[1]))


class Masker:
    """Hides values as they are and as JSON, URLs, hexadecimal and base64 write them.

    A value of several lines is also hidden line by line. Hiding is a help against
    mishaps: whoever can run commands can always write a value in a way of their own.

    Args:
        values: The secret values; empty ones are ignored.
    """

    def __init__(self, values: Iterable[str]) -> None:
        texts = {text for value in values for text in _texts(value) if text}
        forms = {form for text in texts for form in _forms(text)}
        self._written = sorted(
            form for form in forms if form in texts or len(form) >= SHORTEST
        )

    def line(self, text: str) -> str:
        """The text with `***` in the place of every value in it."""
        spans = sorted(s for form in self._written for s in _places(form, text))
        shown, position = "", 0
        for start, end in _merged(spans):
            shown += text[position:start] + HIDDEN
            position = end
        return shown + text[position:]


def _texts(value: str) -> Iterator[str]:
    """The value and, where it has several lines, those that are long enough."""
    yield value
    yield value.strip("\r\n")
    for line in re.split(r"[\r\n]+", value):
        if len(line.strip()) >= SHORTEST:
            yield line
            yield line.strip()


def _forms(text: str) -> Iterator[str]:
    """The ways in which a text is commonly written."""
    data = text.encode(errors="surrogateescape")
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    for url in (quote(data), quote(data, safe=""), quote_plus(data)):
        yield url
        yield re.sub("%..", lambda code: code[0].lower(), url)
    yield data.hex()
    yield data.hex().upper()
    for shift in range(3):
        yield from _base64(data, shift)


def _base64(data: bytes, shift: int) -> Iterator[str]:
    """The digits that depend on `data` alone when `shift` bytes stand before it."""
    first = -(-shift * 8 // 6)
    last = (shift + len(data)) * 8 // 6
    padded = bytes(shift) + data
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        yield encode(padded).decode()[first:last]


def _places(form: str, text: str) -> Iterator[tuple[int, int]]:
    start = text.find(form)
    while start >= 0:
        yield start, start + len(form)
        start = text.find(form, start + 1)


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans in order, those that overlap or touch as one."""
    current: tuple[int, int] | None = None
    for start, end in spans:
        if current and start <= current[1]:
            current = current[0], max(end, current[1])
            continue
        if current:
            yield current
        current = start, end
    if current:
        yield current

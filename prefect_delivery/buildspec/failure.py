"""Reads `on-failure`."""

import re

from prefect_delivery.buildspec.models import OnFailure

RETRIES = 3
"""What RETRY means without a count."""
MOST = 100

_RETRY = re.compile(r"RETRY(?:-(?P<count>[0-9]+))?(?:-(?P<pattern>.+))?", re.DOTALL)


def on_failure(text: str) -> OnFailure | str:
    """What `text` asks for, or what is wrong with it."""
    if text == "ABORT":
        return OnFailure(result="ABORT")
    if text == "CONTINUE":
        return OnFailure(result="CONTINUE")
    match = _RETRY.fullmatch(text)
    if not match:
        return (
            "'on-failure' must be ABORT, CONTINUE, RETRY, RETRY-<count>, "
            "RETRY-<regex> or RETRY-<count>-<regex>"
        )
    count = match["count"] or str(RETRIES)
    if len(count) > 3 or int(count) > MOST:
        return f"'on-failure' retries at most {MOST} times"
    pattern = _unquoted(match["pattern"] or ".*")
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as error:
        return f"the pattern of 'on-failure' is not a regular expression: {error}"
    return OnFailure(result="RETRY", retries=int(count), pattern=pattern)


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1] if quoted else text

"""Times as a person types them."""

import re
from datetime import datetime, timedelta

from prefect_delivery.errors import Refused

_AGO = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(words: str, now: datetime) -> datetime:
    """The time of `7d` (so long ago), or of a date or time in ISO 8601.

    What says no zone is in this machine's.

    Raises:
        Refused: It is neither.
    """
    if ago := _AGO.fullmatch(words):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime.fromisoformat(words).astimezone()
    except ValueError:
        raise Refused(
            f"'{words}' is no time", hint="say 30m, 12h, 7d, 2w or 2026-03-29T12:00"
        ) from None

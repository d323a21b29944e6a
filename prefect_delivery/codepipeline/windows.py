"""The DeploymentWindow rule: Quartz expressions as our windows."""

import re
from typing import Any

Data = dict[str, Any]

_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def our_window(configuration: Data) -> Data:
    """The `with:` of `rule/deployment-window` for a Quartz expression.

    Five fields where they can say it, else the expression itself.
    """
    cron = str(configuration.get("Cron", ""))
    found: Data = {"allow": [{"cron": _five_fields(cron) or cron}]}
    zone = str(configuration.get("TimeZone", "UTC"))
    return {**found, "timezone": _zone(zone)} if zone != "UTC" else found


def their_window(configuration: Data) -> Data:
    """The rule's configuration in CodePipeline, where it has one."""
    allow = configuration.get("allow", [])
    if len(allow) != 1 or set(allow[0]) != {"cron"}:
        return {}
    fields = str(allow[0]["cron"]).split()
    if len(fields) == 5:
        minute, hour, day, month, weekday = fields
        weekday = re.sub(r"(?<![#\w])[0-7]", lambda m: _DAYS[int(m[0]) % 7], weekday)
        if weekday == "*":
            weekday = "?"
        elif day == "*":
            day = "?"
        fields = ["*", minute, hour, day, month, weekday, "*"]
    found = {"Cron": " ".join(fields)}
    if "timezone" in configuration:
        found["TimeZone"] = configuration["timezone"]
    return found


def _five_fields(quartz: str) -> str | None:
    """A Quartz expression in five fields; None when they cannot say it."""
    fields = quartz.split()
    if len(fields) == 7 and fields.pop() != "*":
        return None
    if len(fields) != 6 or not re.fullmatch(r"[*0]|0/\d+|0-59", fields[0]):
        return None
    minute, hour, day, month, weekday = (field.upper() for field in fields[1:])
    if re.search(r"W|L-", day) and day != "LW":
        return None
    # Quartz counts days of the week from 1, Sunday.
    weekday = re.sub(r"(?<![#\w/])[1-7]", lambda m: _DAYS[int(m[0]) - 1], weekday)
    weekday = re.sub(rf"({'|'.join(_DAYS)})L", _last, weekday)
    day, weekday = day.replace("?", "*"), weekday.replace("?", "*")
    if "0/" in hour + minute:
        hour, minute = hour.replace("0/", "*/"), minute.replace("0/", "*/")
    return f"{minute} {hour} {day} {month} {weekday}"


def _last(match: re.Match[str]) -> str:
    return f"{_DAYS.index(match[1])}L"


def _zone(name: str) -> str:
    """`UTC+5` and `UTC-03:00` by their IANA names, which have the sign turned."""
    match = re.fullmatch(r"(?:UTC|GMT)([+-])0?(\d{1,2})(?::?00)?", name)
    if not match or not int(match[2]):
        return name
    sign = "-" if match[1] == "+" else "+"
    return f"Etc/GMT{sign}{int(match[2])}"

"""Which execution a person means: `shop 42`, `shop #42`, `42`, or an id."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from prefect_delivery.errors import Refused

if TYPE_CHECKING:
    from prefect_delivery.engine.state import Execution
    from prefect_delivery.ledger import Ledger

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Target:
    """A pipeline, a number where one was given, and the words after them."""

    pipeline: str
    number: int | None = None
    rest: tuple[str, ...] = ()


def parse_target(words: Sequence[str], pipelines: Sequence[str]) -> Target:
    """Read `[PIPELINE] [[#]NUMBER] [REST...]`.

    Args:
        pipelines: Those that have run; the only one need not be named.

    Raises:
        Refused: Nothing has run yet, or it is not clear which pipeline is meant.
    """
    # Neither a pipeline's nor a stage's name can hold a blank or `#`.
    split = " ".join(words).replace("#", " ").split()
    named = split[0] if split and split[0] in pipelines else None
    rest = split[1:] if named else split
    number = int(rest.pop(0)) if rest and _NUMBER.fullmatch(rest[0]) else None
    return Target(named or _only(pipelines, rest), number, tuple(rest))


def find_execution(
    ledger: "Ledger", words: Sequence[str], *, extra: int = 0
) -> tuple["Execution", tuple[str, ...]]:
    """The execution that `words` mean, the pipeline's latest by default.

    Args:
        extra: How many words may follow the execution.

    Raises:
        Refused: There is no such execution, or too many words.
    """
    pipelines = ledger.executions.pipelines()
    if words and words[0] not in pipelines and is_id(words[0]):
        return ledger.executions.get(words[0]), _few(words[1:], extra)
    target = parse_target(words, pipelines)
    found = ledger.executions.find(target.pipeline, target.number)
    return found, _few(target.rest, extra)


def is_id(word: str) -> bool:
    """Whether a word can only be the id of an execution."""
    return bool(re.fullmatch(r"[0-9a-fA-F-]{26,36}|[0-9A-HJKMNP-TV-Z]{26}", word))


def _only(pipelines: Sequence[str], rest: Sequence[str]) -> str:
    if not pipelines:
        raise Refused("no pipeline has run yet", hint="deliver run --local")
    if len(pipelines) == 1 and not (rest and _like(rest[0], pipelines)):
        return pipelines[0]
    known = ", ".join(pipelines)
    if rest:
        close = _like(rest[0], pipelines)
        guess = f"; did you mean '{close[0]}'?" if close else ""
        raise Refused(
            f"no pipeline '{rest[0]}' has run{guess} (there are: {known})",
            hint="deliver status",
        )
    raise Refused(f"which pipeline? there are: {known}", hint="deliver status")


def _like(word: str, pipelines: Sequence[str]) -> list[str]:
    return get_close_matches(word, pipelines, n=1, cutoff=0.7)


def _few(rest: Sequence[str], extra: int) -> tuple[str, ...]:
    if len(rest) > extra:
        raise Refused(f"'{rest[extra]}' is one word too many", hint="deliver --help")
    return tuple(rest)

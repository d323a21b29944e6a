"""Carry out an action, unless an earlier attempt has left all that it would leave.

An attempt is known by a key: a digest over all that its action can depend on. What
cannot be known makes an action run, and what has changed while it ran is not kept. The
key is secret to an installation, since secrets are among what it stands for.
"""

import hashlib
import hmac
import importlib
import json
import os
import secrets
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from prefect import Task, task
from prefect.cache_policies import NO_CACHE

import prefect_delivery
from prefect_delivery.actions import Job, Outputs, Report
from prefect_delivery.artifacts import Artifact, open_store
from prefect_delivery.containers import image_id
from prefect_delivery.definition.models import SOURCE, CacheInputs
from prefect_delivery.engine.resolve import Call
from prefect_delivery.engine.state import ArtifactRef
from prefect_delivery.errors import ArtifactError, DeliveryError, Refused
from prefect_delivery.flows.arguments import arguments_of
from prefect_delivery.flows.performers import as_outputs
from prefect_delivery.ledger.cache import Cache, Cached
from prefect_delivery.process import clean_environment
from prefect_delivery.secrets import fetch_secrets
from prefect_delivery.settings import settings

_LOADED: Final = time.time_ns()
"""Code that is younger than this is not what runs in this process."""


@dataclass(frozen=True, kw_only=True)
class Kept(Outputs):
    """Outputs that a later attempt may find by `cache_key`."""

    cache_key: str


@task(name="run_cached", cache_policy=NO_CACHE, persist_result=False)
def run_cached(
    action: Task[..., Any],
    call: Call,
    wish: bool | CacheInputs,
    job: Job,
    memory: Cache,
    untrusted: bool,
    fresh: bool,
) -> Outputs:
    """Carry out an action, or give what it has left when all was as it is now.

    Args:
        wish: What the definition says of it. Files of the source that it does not name
            are hidden from the action, so that it cannot depend on them.
        memory: Where earlier attempts are found.
        untrusted: Whether a pull request is carried out: what it leaves is found by
            other pull requests only.
        fresh: Do not look for an earlier attempt.

    Raises:
        ArtifactError: A pattern of `wish` matches nothing.
    """
    if isinstance(wish, CacheInputs):
        call = _narrowed(call, wish.inputs)
    key = _key(action, call, job, log=True)
    if key and not fresh:
        keys = [key, _scoped(key)] if untrusted else [key]
        found = memory.find(job.pipeline, keys)
        if found and _is_there(found, job):
            job.log(f"unchanged since {found.title}: not run again")
            return _outputs(found)
    outputs = as_outputs(action.fn(**arguments_of(action, call, job)))
    if isinstance(outputs, BaseException):
        raise outputs
    if key is None or key != _key(action, call, job):
        return outputs
    return Kept(**vars(outputs), cache_key=_scoped(key) if untrusted else key)


def _scoped(key: str) -> str:
    """The key for what pull requests leave."""
    return f"untrusted:{key}"


def _narrowed(call: Call, patterns: list[str]) -> Call:
    """The call with those files of its source that match."""
    source = call.inputs[SOURCE]
    if not isinstance(source, ArtifactRef):
        return call
    store = open_store()
    digest, size = store.choose(source.digest, patterns)
    ref = ArtifactRef(digest=digest, size=size)
    return replace(call, inputs={**call.inputs, SOURCE: ref})


def _is_there(found: Cached, job: Job) -> bool:
    """Whether all artifacts of an attempt can still be read."""
    store = open_store()
    try:
        for ref in found.run.artifacts.values():
            store.renew(ref.digest)
    except ArtifactError as error:
        job.log(f"unchanged since {found.title}, but run again: {error.message}")
        return False
    return True


def _outputs(found: Cached) -> Outputs:
    """What an attempt has left."""
    run = found.run
    said = f"unchanged since {found.title}"
    return Outputs(
        artifacts={
            name: Artifact(digest=ref.digest, size=ref.size)
            for name, ref in run.artifacts.items()
        },
        variables=run.variables,
        reports=tuple(
            Report(**{**report, "failures": tuple(report["failures"])})
            for report in run.reports
        ),
        summary=f"{run.summary}; {said}" if run.summary else said,
        link=run.link,
    )


def _key(
    action: Task[..., Any], call: Call, job: Job, *, log: bool = False
) -> str | None:
    """The key of an attempt now; None when something cannot be known."""
    try:
        return digest_of(facts(action, call))
    except (DeliveryError, OSError) as error:
        if log:
            job.log(f"not cached: {error}")
        return None


def facts(action: Task[..., Any], call: Call) -> dict[str, Any]:
    """All that an action can depend on.

    Raises:
        Refused: The code that runs is not the code that is installed.
        ActionFailed: A secret or an image cannot be had.
    """
    configuration = call.configuration
    image = configuration.get("image")
    return {
        "uses": call.uses,
        "code": code_of(action.fn.__module__),
        "configuration": configuration,
        "inputs": {
            name: refs.digest
            if isinstance(refs, ArtifactRef)
            # Their order reaches actions that take a list.
            else [(key, ref.digest) for key, ref in refs.items()]
            for name, refs in call.inputs.items()
        },
        "outputs": call.outputs,
        "secrets": fetch_secrets(configuration.get("secrets", {})),
        "python": [sys.version, _changed(sysconfig.get_path("purelib"))],
        "user": [os.getuid(), os.getgid(), _umask()],
        "place": {"image": image_id(image)} if image else _machine(),
    }


def digest_of(found: dict[str, Any]) -> str:
    """A digest that only this installation can make, so that it betrays no secret."""
    text = json.dumps(found, sort_keys=True, default=str)
    return hmac.new(_seal(), text.encode(), hashlib.sha256).hexdigest()


@cache
def code_of(module: str) -> str:
    """SHA-256 of all the code of a module's package, and of ours.

    Raises:
        Refused: It has changed since this process began, or is not in files.
    """
    packages = {prefect_delivery.__name__, *_with_parents(module)}
    digest = hashlib.sha256()
    for path in sorted({path for name in packages for path in _files(name)}):
        if path.stat().st_ctime_ns > _LOADED:
            raise Refused(f"{path} has changed since this process began")
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{content} {path}\n".encode())
    return digest.hexdigest()


def _with_parents(module: str) -> list[str]:
    names = module.split(".")
    return [".".join(names[:count]) for count in range(1, len(names) + 1)]


def _files(package: str) -> Iterator[Path]:
    """The code of a module, or of all that is in a package."""
    found = importlib.import_module(package)
    for folder in getattr(found, "__path__", ()):
        for place, _, names in os.walk(folder, followlinks=True):
            real = Path(place).resolve()
            yield from (real / name for name in names if name.endswith(".py"))
    if found.__file__:
        yield Path(found.__file__).resolve()
    elif not hasattr(found, "__path__"):
        raise Refused(f"the code of {package} is in no file")


def _machine() -> dict[str, Any]:
    """What commands find on this machine: variables, and programs as far as folders
    that are searched for them tell by their times."""
    given = clean_environment()
    return {
        "system": list(os.uname()),
        "variables": given,
        "programs": [
            (folder, _changed(folder))
            for folder in given.get("PATH", os.defpath).split(os.pathsep)
        ],
    }


def _changed(folder: str) -> int | None:
    """When something was last added to a folder, removed or replaced."""
    with suppress(OSError):
        return Path(folder or ".").stat().st_mtime_ns
    return None


def _umask() -> str | None:
    # The system call that gives it changes it, for all threads.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return line
    return None


def _seal() -> bytes:
    """The secret of this installation; made when first needed."""
    place = settings().home / "cache.key"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        made = place.with_name(f"{place.name}.{secrets.token_hex(8)}")
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
        # Of two that make one at the same time, the first one counts.
        with suppress(FileExistsError):
            os.link(made, place)
        made.unlink()
    return place.read_bytes()

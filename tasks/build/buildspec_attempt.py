"""One go at a build as its buildspec says: environment, phases, artifacts, reports."""

import re
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from prefect_delivery.actions import ActionFailed, Report
from prefect_delivery.buildspec.models import Buildspec
from prefect_delivery.masking import Masker
from prefect_delivery.tasks.build.buildspec_files import read_group, stage
from prefect_delivery.tasks.build.buildspec_order import (
    Built,
    Failure,
    Order,
    buildspec_of,
    require_runnable,
)
from prefect_delivery.tasks.build.buildspec_runtimes import check_runtime, probe_of
from prefect_delivery.tasks.build.buildspec_script import Program
from prefect_delivery.tasks.build.buildspec_site import Site
from prefect_delivery.tasks.build.buildspec_users import open_to_users, require_users
from prefect_delivery.tasks.build.buildspec_values import resolve

TAIL = 400
"""Lines of a phase's output in which the pattern of RETRY is looked for."""
LARGEST_VARIABLE = 32_768

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


class Attempt:
    """One go at a build, in a folder of its own."""

    def __init__(self, site: Site, place: Path, order: Order) -> None:
        self._site = site
        self._place = place
        self._order = order
        self._source = place / "source"
        self._private = place / "run"
        self._token = f"::{secrets.token_hex(12)}::"
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._started = 0.0
        self._masker = Masker([])
        self._probed: dict[str, str] = {}

    def run(self) -> tuple[Built, Failure | None]:
        self._unpack()
        spec = buildspec_of(self._order.buildspec, self._source)
        for note in spec.notes:
            self._site.log(f"buildspec: {note}")
        require_runnable(spec, self._order.image)
        environment = self._environment(spec)
        users = {phase.user for phase in spec.phases if phase.user}
        if users:
            require_users(users, self._order.image)
        program = Program(
            self._private, spec, self._source, self._token, spec.env.shell
        )
        parts = {"": spec.artifacts, **spec.secondary}
        outer = program.write(
            [files.name if files else None for files in parts.values()]
        )
        self._prepare(spec, environment)
        if users:
            open_to_users(self._place, self._order.image)
        self._program = program
        failure = self._carry_out(outer, environment)
        self._site.check_stopped()
        environment |= self._final()
        built = Built(failure=failure.message if failure else None)
        built.reports = self._reports(spec, environment)
        built.variables = self._exported(spec)
        self._upload(spec, environment, built)
        if spec.cache and spec.cache.save and not built.failure:
            self._save_cache(spec)
        return built, failure

    def _unpack(self) -> None:
        for name in ("home", "inputs", "run"):
            (self._place / name).mkdir()
        self._order.source.unpack(self._source)
        for name, artifact in self._order.extra.items():
            artifact.unpack(self._place / "inputs" / name)

    def _environment(self, spec: Buildspec) -> dict[str, str]:
        order = self._order
        given = dict(order.environment)
        batch = order.batch.variables if order.batch else {}
        set_already = {*given, *batch, *order.secrets}
        fetched = resolve(
            _without(spec.env.parameters, set_already),
            _without(spec.env.secrets, set_already),
            order.resolver,
        )
        self._masker = Masker([*order.secrets.values(), *fetched.values()])
        places = {"CODEBUILD_SRC_DIR": str(self._source)}
        for name in order.extra:
            places[f"CODEBUILD_SRC_DIR_{name}"] = str(self._place / "inputs" / name)
        built_in = self._site.built_in()
        merged = {
            **built_in,
            **spec.env.variables,
            **fetched,
            **given,
            **batch,
            **order.secrets,
        }
        own = {k: v for k, v in built_in.items() if k[:4] != "AWS_"}
        merged |= own | places
        for name, value in merged.items():
            if "\0" in value or "\0" in name or "=" in name:
                raise ActionFailed(f"environment variable {name!r} cannot be set")
        return merged

    def _prepare(self, spec: Buildspec, environment: dict[str, str]) -> None:
        """Look at the runtimes, and bring back the cache."""
        cache = spec.cache
        keys = [cache.key, *cache.fallback] if cache and cache.key else []
        wanted = {} if self._order.runtimes == "ignored" else spec.runtimes
        if wanted or keys:
            text = probe_of(self._token, wanted, keys, self._private / "bin")
            probe = self._private / "probe"
            probe.write_text(text)
            failure = self._site.perform(
                probe, self._place, environment, self._line, self._masker.line
            )
            self._site.check_stopped()
            if failure:
                raise ActionFailed(f"the build's environment {failure}")
        for runtime, version in wanted.items():
            exact = self._order.runtimes == "exact"
            asked = environment.get(version[1:], "") if version[:1] == "$" else version
            found = self._probed.get(f"runtime-{runtime}")
            self._site.log(check_runtime(runtime, asked, found, exact=exact))
        if cache and cache.restore:
            found_keys = [self._probed.get(f"key-{i}", "") for i in range(len(keys))]
            self._site.cache().restore(
                found_keys or ["build"], self._cache_paths(spec), self._place
            )

    def _cache_paths(self, spec: Buildspec) -> list[str]:
        """The paths of the cache, relative to the workspace."""
        paths = []
        for path in spec.cache.paths if spec.cache else ():
            home = re.match(r"(?:/root|~|\$HOME|\$\{HOME\})/", path)
            if home and self._order.image:
                paths.append(f"home/{path[home.end() :]}")
            elif path.startswith("/") or home:
                self._site.log(f"cache: '{path}' is the worker's own and stays there")
            elif ".." in path.split("/"):
                self._site.log(f"cache: '{path}' leads out of the source")
            else:
                paths.append(f"source/{path.removeprefix('./')}")
        return paths

    def _save_cache(self, spec: Buildspec) -> None:
        keyed = bool(spec.cache and spec.cache.key)
        key = self._probed.get("key-0", "") if keyed else "build"
        paths = self._cache_paths(spec)
        if key and paths:
            self._site.cache().save(key, paths, self._place, replace=not keyed)

    def _carry_out(self, outer: Path, environment: Mapping[str, str]) -> Failure | None:
        failure = self._site.perform(
            outer, self._place, environment, self._line, self._masker.line
        )
        self._site.check_stopped()
        if failure and not failure.startswith("ended with "):
            # It did not end by itself: what its commands said of that is our doing.
            return Failure(None, f"the build {failure}", "")
        journal = (self._private / "journal").read_text(errors="replace").split("\n")
        failed = next((one.split() for one in journal if one[:7] == "failed "), None)
        if failed and len(failed) == 3 and failed[1].isdigit():
            phase, command = self._program.commands.get(int(failed[1]), (None, ""))
            if phase:
                message = (
                    f"{phase.name.upper()}: '{self._masker.line(_short(command))}' "
                    f"ended with exit code {failed[2]}"
                )
                return Failure(phase, message, "\n".join(self._tail))
        if failure:
            return Failure(None, f"the build {failure}", "")
        if not (self._private / "done").exists():
            return Failure(None, "the build's shell did not come to its end", "")
        return None

    def _line(self, line: str) -> None:
        before, mark, rest = line.partition(f"{self._token} ")
        if not mark:
            self._tail.append(line)
            self._site.log(line)
            return
        if before:
            self._site.log(before)
        self._mark(rest)

    def _mark(self, text: str) -> None:
        log, word = self._site.log, text.split(" ")
        match word[0]:
            case "begin":
                self._started = time.monotonic()
                log(f"Entering phase {word[1].upper()}")
            case "run" if word[1].isdigit():
                _, command = self._program.commands[int(word[1])]
                log(f"Running command {self._masker.line(command.rstrip())}")
            case "failed" if word[1].isdigit():
                _, command = self._program.commands[int(word[1])]
                log(
                    "Phase context status code: COMMAND_EXECUTION_ERROR Message: Error "
                    f"while executing command: {self._masker.line(_short(command))}. "
                    f"Reason: exit status {word[2]}"
                )
            case "end":
                took = time.monotonic() - self._started
                log(
                    f"Phase complete: {word[1].upper()} State: {word[2]} ({took:.1f} s)"
                )
            case name:
                self._probed[name] = text[len(name) + 1 :]

    def _final(self) -> dict[str, str]:
        """The environment at the end of the build."""
        path = self._private / "final"
        if not path.is_file() or path.is_symlink():
            return {}
        pairs = path.read_bytes().decode(errors="replace").split("\0")
        return {name: value for name, _, value in (p.partition("=") for p in pairs)}

    def _exported(self, spec: Buildspec) -> dict[str, str]:
        found = {}
        for name in spec.env.exported:
            path = self._private / "exported" / name
            if name.startswith("AWS_"):
                self._site.log(f"variable '{name}' is not exported: it is AWS's own")
            elif "/" in name or not path.is_file() or path.is_symlink():
                self._site.log(f"variable '{name}' is not exported: it is not set")
            elif path.stat().st_size > LARGEST_VARIABLE:
                raise ActionFailed(f"exported variable '{name}' is too long")
            else:
                value = path.read_bytes().decode(errors="replace")
                if self._masker.line(value) != value:
                    self._site.log(f"variable '{name}' is not exported: a secret")
                elif _CONTROL.search(value):
                    raise ActionFailed(
                        f"exported variable '{name}' holds a control character",
                        hint="encode it, for example as base64 or JSON",
                    )
                else:
                    found[name] = value
        return found

    def _reports(self, spec: Buildspec, environment: Mapping[str, str]) -> list[Report]:
        return [
            replace(
                report,
                failures=tuple(
                    {key: self._masker.line(text) for key, text in failure.items()}
                    for failure in report.failures
                ),
            )
            for group in spec.reports
            for report in read_group(group, self._source, environment, self._site.log)
        ]

    def _upload(
        self, spec: Buildspec, environment: Mapping[str, str], built: Built
    ) -> None:
        parts = {"": spec.artifacts, **spec.secondary}
        if not self._order.wants_artifacts:
            return
        self._site.log("Entering phase UPLOAD_ARTIFACTS")
        for number, (identifier, files) in enumerate(parts.items()):
            if files is None or (not files.files and not identifier):
                continue
            target = self._place / "artifacts" / str(number)
            try:
                stage(files, self._source, target, environment, self._site.log)
            except ActionFailed as error:
                self._site.log(f"UPLOAD_ARTIFACTS: {error.message}")
                built.failure = built.failure or f"UPLOAD_ARTIFACTS: {error.message}"
                continue
            built.artifacts[identifier] = target
            name = self._private / "names" / str(number)
            if name.is_file() and not name.is_symlink():
                text = name.read_bytes()[:1024].decode(errors="replace")
                built.names[identifier] = self._masker.line(text)
        state = "FAILED" if (built.failure or "").startswith("UPLOAD") else "SUCCEEDED"
        self._site.log(f"Phase complete: UPLOAD_ARTIFACTS State: {state}")


def _without(values: Mapping[str, str], names: set[str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in names}


def _short(command: str) -> str:
    first, *more = command.strip().split("\n")
    return first[:100] + (" ..." if more or len(first) > 100 else "")

"""Build as a buildspec of AWS CodeBuild says."""

import time
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Annotated

from pydantic import Field

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Megabytes,
    Minutes,
    Outputs,
    Patterns,
    Report,
    action,
)
from prefect_delivery.secrets import fetch_secrets
from prefect_delivery.tasks.build.buildspec_batch import run_batch
from prefect_delivery.tasks.build.buildspec_build import make
from prefect_delivery.tasks.build.buildspec_order import (
    Built,
    Order,
    Runtimes,
    buildspec_of,
)

Parallel = Annotated[int, Field(ge=1, le=32)]


@action(
    "build/buildspec",
    permissions=(
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
    ),
)
def run_buildspec(
    source: Artifact,
    *,
    extra: dict[str, Artifact] = {},
    buildspec: str = "buildspec.yml",
    batch: bool = False,
    parallel: Parallel = 2,
    image: str | None = None,
    environment: dict[str, str] = {},
    secrets: dict[str, str] = {},
    revision: str | None = None,
    runtimes: Runtimes = "present",
    outputs: Patterns = {},
    timeout: Minutes = 60,
    memory: Megabytes | None = None,
    compute: str | None = None,
    job: Job = Job(),
) -> Outputs:
    """Run a buildspec on a private copy of `source`, as CodeBuild would.

    Phases, variables, artifacts, reports and cache are those of the buildspec. Whatever
    its commands leave running is ended. Reports are read, and artifacts are taken, also
    when a phase fails.

    Args:
        source: The primary source; `$CODEBUILD_SRC_DIR` is its folder.
        extra: More sources; `$CODEBUILD_SRC_DIR_<name>` is the folder of each.
        buildspec: Path of the buildspec in the source, or its text (several lines).
        batch: Run the builds of its `batch` section instead of its phases.
        parallel: Builds of a batch that run at the same time.
        image: Container image to run in instead of on the worker.
        environment: Variables; they go before those of the buildspec.
        secrets: Variables, each with the name of a Prefect `Secret` block, or
            `env:NAME` for a variable of the worker. Hidden in log and reports.
        revision: `$CODEBUILD_RESOLVED_SOURCE_VERSION`; the source's digest by default.
        runtimes: Whether the runtimes of `runtime-versions` must be `present` (another
            version is told), `exact`, or are `ignored`.
        outputs: Artifacts to keep. A single one is the primary artifact; of several,
            each is the secondary artifact, or the build of the batch, of that name. The
            patterns select among its files: `['**']` takes all.
        timeout: Minutes until the build is ended.
        memory: Megabytes that the commands of a build may use together.
        compute: CodeBuild's compute type; has no effect here.

    Returns:
        The artifacts named by `outputs`, the buildspec's exported variables, and the
        reports.

    Raises:
        ActionFailed: A phase failed; names it, the command and its exit code.

    Source: AWS CodeBuild user guide, build-spec-ref.
    """
    if compute:
        job.log(f"compute type '{compute}' has no effect here")
    with job.workspace() as folder:
        order = Order(
            source=source,
            extra=extra,
            buildspec=buildspec,
            image=image,
            environment=environment,
            secrets=fetch_secrets(secrets),
            revision=revision or source.digest,
            runtimes=runtimes,
            wants_artifacts=bool(outputs),
            memory=memory,
            deadline=time.monotonic() + timeout * 60,
        )
        (folder / "build").mkdir()
        built = (
            _batch(order, folder, parallel, job)
            if batch
            else make(order, folder / "build", job, job.cancelled)
        )
        for identifier, name in built.names.items():
            job.log(f"artifact {identifier or 'of the build'} is called '{name}'")
        reports = tuple(built.reports)
        summary = _summary(reports)
        if built.failure:
            found = Outputs(reports=reports, summary=summary)
            raise ActionFailed(built.failure, outputs=found)
        return Outputs(
            artifacts=_kept(built, outputs),
            variables=built.variables,
            reports=reports,
            summary=summary,
        )


def _batch(order: Order, folder: Path, parallel: int, job: Job) -> Built:
    order.source.unpack(folder / "source")
    spec = buildspec_of(order.buildspec, folder / "source")
    if spec.batch is None:
        raise ActionFailed("the buildspec has no 'batch' section")
    orders = [
        replace(
            order,
            batch=build,
            buildspec=build.buildspec or order.buildspec,
            image=_image(order, build.image, job),
        )
        for build in spec.batch.builds
    ]
    fast_fail = spec.batch.fast_fail
    built = run_batch(orders, folder / "build", parallel, fast_fail=fast_fail, job=job)
    together = folder / "together"
    for identifier, tree in built.artifacts.items():
        if not identifier:
            continue
        copytree(tree, together, symlinks=True, dirs_exist_ok=True)
    if together.exists():
        built.artifacts[""] = together
    return built


def _image(order: Order, image: str | None, job: Job) -> str | None:
    """The image that a build of a batch runs in."""
    if not image or order.image is None or image.startswith("aws/codebuild/"):
        if image:
            job.log(f"image '{image}' is not used; {order.image or 'no image'} is")
        return order.image
    return image


def _kept(built: Built, outputs: Patterns) -> dict[str, Artifact]:
    kept = {}
    for name, patterns in outputs.items():
        identifier = "" if len(outputs) == 1 and name not in built.artifacts else name
        if identifier not in built.artifacts:
            raise ActionFailed(
                f"the buildspec has no artifact '{name}'",
                hint="several outputs are called like its secondary artifacts",
            )
        kept[name] = Artifact.of(built.artifacts[identifier], patterns)
    return kept


def _summary(reports: tuple[Report, ...]) -> str | None:
    tests = [report for report in reports if report.kind == "tests"]
    covered = [report.coverage for report in reports if report.coverage is not None]
    parts = []
    if tests:
        parts.append(f"{sum(report.passed for report in tests)} passed")
    if failed := sum(report.failed for report in tests):
        parts.append(f"{failed} failed")
    if skipped := sum(report.skipped for report in tests):
        parts.append(f"{skipped} skipped")
    if covered:
        parts.append(f"{min(covered):.1f} % covered")
    return ", ".join(parts) or None

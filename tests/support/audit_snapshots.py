"""Whether runs, releases and artifacts are those of their snapshots (I12)."""

import hashlib
import json
from collections.abc import Iterator

from audit_case import Case, title

from prefect_delivery.artifacts import ArtifactStore
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.errors import ArtifactError
from prefect_delivery.settings import settings


def runs_are_those_of_their_snapshots(case: Case) -> Iterator[str]:
    """I12: a run's definition, inputs and artifacts are those of its snapshot."""
    for row in case.tables["pipelines"]:
        if Pipeline.model_validate_json(row["snapshot"]).digest != row["digest"]:
            yield f"the snapshot {row['digest'][:12]} of {row['name']} was changed"
    for entry in case.log_of("start execution"):
        if entry.detail["execution"] not in case.executions:
            continue  # I11 says so
        row = case.executions[entry.detail["execution"]]
        if row["definition_digest"] != entry.detail["definition"]:
            yield f"{title(row)} does not run on the definition it was started with"
        if row["variables"] != entry.detail["variables"]:
            yield f"{title(row)} does not have the variables it was started with"
        pinned = entry.detail["revisions"]
        if {name: row["revisions"].get(name) for name in pinned} != pinned:
            yield f"{title(row)} left the revisions that it was pinned to"
    yield from _revisions(case)
    yield from _releases(case)
    store = ArtifactStore(settings().artifacts)
    for digest in sorted(case.ledger.releases.pinned()):
        try:
            store.verify(digest)
        except ArtifactError as error:
            yield error.message


def _revisions(case: Case) -> Iterator[str]:
    """A source stays on what it resolved to, however often it is carried out."""
    noted: dict[str, str] = {}
    for entry in case.log_of("note revision"):
        before = noted.setdefault(entry.subject, entry.detail["revision"])
        if before != entry.detail["revision"]:
            yield f"{entry.subject} changed its revision under way"


def _releases(case: Case) -> Iterator[str]:
    """A release is what its digest says."""
    for row in case.tables["releases"]:
        content = {
            "pipeline": row["pipeline"],
            "artifact": {
                "digest": row["artifact_digest"],
                "size": row["artifact_size"],
            },
            "revisions": row["revisions"],
            "definition_digest": row["definition_digest"],
            "variables": row["variables"],
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        if hashlib.sha256(text.encode()).hexdigest() != row["digest"]:
            yield f"release {row['digest'][:12]} was changed"

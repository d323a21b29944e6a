"""What lies on the disk: secrets in clear (I9), and what nobody has removed (I10)."""

import base64
from collections.abc import Iterator
from pathlib import Path

from audit_case import Case, releases_in, title
from host_shop import processes_of

from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.settings import settings


def in_clear(case: Case) -> Iterator[str]:
    """I9: no secret is in any table, log, artifact or folder of an environment."""
    for secret in case.secrets:
        for name, rows in case.tables.items():
            if any(secret in str(value) for row in rows for value in row.values()):
                yield f"a secret is in the table {name}"
        forms = {secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")}
        for file in _files(case):
            content = file.read_bytes()
            if any(form in content for form in forms):
                yield f"a secret is in {file}"


def left_behind(case: Case) -> Iterator[str]:
    """I10: leases, claims, workspaces, half artifacts and processes are gone."""
    for row in case.tables["leases"]:
        if row["holder"]:
            yield f"lease {row['name']} is still held by {row['holder']}"
    for row in case.executions.values():
        if row["ended"] and row["holder"]:
            yield f"{title(row)} has ended and is still claimed by {row['holder']}"
    for name in ("workspaces", "artifacts/temporary"):
        for left in (settings().home / name).glob("*"):
            yield f"{name} still has {left.name}"
    for name, target in case.environments.items():
        if not isinstance(target, HostEnvironment):
            continue
        if any((target.root / "half").glob("*")):
            yield f"{name} has a release that is half unpacked"
        expected = releases_in(case, name) or {target.observe()}
        for process in processes_of(target.root / "services"):
            if process.split("/services/")[1][:64] not in expected:
                yield f"{name} has a process of a release that does not serve: {process}"


def _files(case: Case) -> Iterator[Path]:
    roots = [settings().home]
    for target in case.environments.values():
        if isinstance(target, HostEnvironment):
            roots.append(target.root)
    for root in roots:
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path

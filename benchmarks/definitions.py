"""Pipelines of ours, for the worker and for `deliver run --local`."""

import json
from pathlib import Path
from typing import Any

from benchmarks.lab import Lab
from benchmarks.work import Actions, Burst, Delivery, Push, Work

TESTS = '"$TOOLS" -m pytest -q -p no:cacheprovider --junitxml=report.xml'
LARGEST = 40
"""Actions of a stage; a longer sequence takes several."""


def define(lab: Lab, work: Work, name: str, place: Path) -> Path:
    """Write the definition of a pipeline that does `work`.

    Args:
        place: Gets the definition, and what the pipeline deploys.
    """
    match work:
        case Delivery(cached):
            stages = _delivery(lab, cached)
        case Actions(count, parallel):
            stages = _actions(lab, count, parallel=parallel)
        case Burst():
            stages = _actions(lab, 4, parallel=False)
        case Push():
            raise NotImplementedError
    data: dict[str, Any] = {"pipeline": name, "mode": "parallel", "stages": stages}
    if isinstance(work, Delivery):
        root = str(place / "releases")
        data["environments"] = {"production": {"kind": "host", "root": root}}
    file = place / f"{name}.delivery.yaml"
    place.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data, indent=2))  # which is YAML
    return file


def _delivery(lab: Lab, cached: bool) -> dict[str, Any]:
    tools = {"TOOLS": str(lab.tools / "python")}
    build = [
        '"$TOOLS" -c \'from setuptools.build_meta import build_wheel; build_wheel("dist")\'',
        '"$TOOLS" -m zipfile -e dist/*.whl site',
    ]
    return {
        "Source": _source(lab.repository),
        "Build": {
            "actions": {
                "wheel": {
                    "uses": "build/commands",
                    "cache": cached,
                    "with": {"commands": build, "environment": tools},
                    "outputs": {"site": ["site/"]},
                }
            }
        },
        "Test": {
            "actions": {
                kind: {
                    "uses": "test/commands",
                    "cache": cached,
                    "inputs": "sample",
                    "with": {
                        "commands": [f"{TESTS} tests/{kind}"],
                        "junit": ["report.xml"],
                        "environment": {**tools, "PYTHONPATH": "src"},
                    },
                }
                for kind in ("unit", "integration")
            }
        },
        "Deploy": {
            "actions": {
                "site": {
                    "uses": "deploy/environment",
                    "inputs": "site",
                    "with": {"environment": "production"},
                }
            }
        },
    }


def _actions(lab: Lab, count: int, *, parallel: bool) -> dict[str, Any]:
    stages: dict[str, Any] = {"Source": _source(lab.small)}
    for first in range(0, count, LARGEST):
        stages[f"Work{first}"] = {
            "actions": {
                f"a{number}": {
                    "uses": "build/commands",
                    "with": {"commands": ["true"]},
                    "run_order": 1 if parallel else number - first + 1,
                }
                for number in range(first, min(count, first + LARGEST))
            }
        }
    return stages


def _source(repository: Path) -> dict[str, Any]:
    uses = {"uses": "source/git", "with": {"url": str(repository)}}
    return {"actions": {"sample": uses}}

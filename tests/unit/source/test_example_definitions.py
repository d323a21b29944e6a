"""The examples' definitions are right."""

from pathlib import Path

import pytest

from prefect_delivery.definition import load_file

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize(
    "name",
    [
        "fastapi-ecs",
        "lambda-api",
        "node-service",
        "prefect-flows",
        "python-package",
        "static-site",
        "static-site-s3",
    ],
)
def test_the_definition_of_an_example_loads(name: str) -> None:
    pipeline = load_file(EXAMPLES / name / "delivery.yaml")

    assert next(iter(pipeline.stages)) == "Source"

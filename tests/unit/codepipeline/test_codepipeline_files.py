"""Whatever a file holds, `validate` answers with a place and never with a traceback."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefect_delivery.cli.checked import as_data, check_file
from prefect_delivery.codepipeline.json_text import read_json
from prefect_delivery.codepipeline.kinds import Kind, kind_of
from prefect_delivery.errors import DefinitionError
from tests.unit.codepipeline.conftest import deploy, kind, pipeline

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "pipeline",
                    "stages",
                    "name",
                    "Resources",
                    "Type",
                    "Ref",
                    "Fn::If",
                    "Fn::Sub",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
QUICK = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("pipeline: shop\nstages: {}\n", Kind.NATIVE),
        ("pipeline:\n  name: shop\n", Kind.DECLARATION),
        ('{"name": "shop", "stages": [], "roleArn": "x"}', Kind.DECLARATION),
        ("Resources:\n  A: {Type: x}\n", Kind.TEMPLATE),
        ('{"AWSTemplateFormatVersion": "2010-09-09"}', Kind.TEMPLATE),
        ("version: 0.2\nphases: {}\n", Kind.BUILDSPEC),
        ("version: 0.0\nos: linux\n", Kind.APPSPEC),
        ("version: 0.0\nResources:\n  - TargetService: {}\n", Kind.APPSPEC),
        ('{"jobs": []}', Kind.OTHER),
        ("", Kind.NATIVE),
    ],
)
def test_a_file_is_what_it_looks_like(text: str, kind: Kind) -> None:
    assert kind_of(text, "file") is kind


@QUICK
@given(data=JSON)
def test_json_reads_as_it_is(data: object) -> None:
    text = json.dumps(data)

    try:
        assert read_json(text, "f").root.data == data
    except DefinitionError as error:
        assert "NUL" in str(error)


@QUICK
@given(content=st.binary(max_size=200) | JSON.map(lambda d: json.dumps(d).encode()))
@pytest.mark.parametrize("name", ["x.json", "x.yaml"])
def test_any_bytes_get_an_answer(content: bytes, name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content)

    found = check_file(file)

    assert found.ok == (not found.problems)


@QUICK
@given(at=st.integers(0, 1500), length=st.integers(0, 9), put=st.text(max_size=4))
def test_a_damaged_declaration_gets_an_answer(
    at: int, length: int, put: str, tmp_path: Path
) -> None:
    text = json.dumps({"pipeline": pipeline()}, indent=1)
    file = tmp_path / "pipeline.json"
    damaged = text[:at] + put + text[at + length :]
    file.write_text(damaged, encoding="utf-8", errors="replace")

    found = check_file(file)

    assert found.ok or all(problem.line for problem in found.problems)


def test_what_has_no_effect_here_is_said(tmp_path: Path) -> None:
    file = tmp_path / "buildspec.yml"
    file.write_text("version: 0.2\nproxy: {logs: yes}\nphases: {}\n")

    found = check_file(file)

    assert found.ok
    assert found.notes == ["'proxy' has no effect here"]
    assert as_data(file, found)["notes"] == found.notes


def test_what_is_done_otherwise_here_is_said(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.json"
    ended = deploy(
        actionTypeId=kind("Deploy", "OpsWorks"),
        configuration={"Stack": "s", "App": "a"},
    )
    file.write_text(json.dumps(pipeline(ended)))

    notes = check_file(file).notes

    assert "'Release / Site': AWS has ended OpsWorks" in notes

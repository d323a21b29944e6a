"""The schema for editors says what the rules say, as far as a schema can."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from prefect_delivery.definition import load
from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.definition.schema import as_json, editor_schema


def data_of(text: str) -> Any:
    return YAML(typ="safe").load(text)


@pytest.fixture
def validator(catalogue: Catalogue) -> Draft202012Validator:
    schema = json.loads(as_json(editor_schema(catalogue)))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_it_accepts_what_can_be_loaded(
    shop: str, catalogue: Catalogue, validator: Draft202012Validator
) -> None:
    pipeline = load(shop, catalogue=catalogue)

    assert list(validator.iter_errors(data_of(shop))) == []
    assert list(validator.iter_errors(pipeline.snapshot())) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pipeline: shop", "pipelin: shop"),
        ("inputs: site", "input: site"),
        ("url:", "urll:"),
        ('commands: ["make dist"]', "commands: make"),
        ("port: 8080", "port: eight"),
        ("kind: host, ", ""),
        (', with: {url: ".", branch: main}', ""),
        ('commands: ["make dist"]', 'commands: ["make"], cache: {kee: x}'),
    ],
)
def test_it_refuses_what_cannot_be_loaded(
    old: str, new: str, shop: str, validator: Draft202012Validator
) -> None:
    assert list(validator.iter_errors(data_of(shop.replace(old, new))))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('commands: ["make dist"]', 'commands: [x], timeout: "#{variables.greeting}"'),
        ('commands: ["make dist"]', 'commands: [x], cache: {key: "x"}'),
        ("deploy/environment, ", "acme/deploy, "),
        ("kind: host", "kind: acme"),
    ],
)
def test_it_leaves_open_what_it_cannot_know(
    old: str, new: str, shop: str, validator: Draft202012Validator
) -> None:
    assert list(validator.iter_errors(data_of(shop.replace(old, new)))) == []


def test_names_of_two_actions_schemas_do_not_clash(catalogue: Catalogue) -> None:
    definitions = editor_schema(catalogue)["$defs"]

    assert "build.commands.Cache" in definitions
    assert "Cache" not in definitions


def test_a_catalogue_is_read_back_as_it_was_written(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    file = tmp_path / "catalogue.json"
    file.write_text(as_json(catalogue.as_data()), encoding="utf-8")

    assert Catalogue.load(file) == catalogue

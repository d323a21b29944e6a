"""Paths in a definition's file are relative to the file."""

from pathlib import Path

import pytest

from prefect_delivery.definition import load, load_file
from prefect_delivery.definition.models import Pipeline

TEXT = """
pipeline: shop
environments:
  production: {kind: host, root: %s}
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: "%s"}}
  Production:
    actions:
      deploy: {uses: deploy/environment, with: {environment: production}}
"""


def written(tmp_path: Path, root: str = "./site", url: str = ".") -> Pipeline:
    file = tmp_path / "project" / "delivery.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(TEXT % (root, url))
    return load_file(file)


def url_of(pipeline: Pipeline) -> object:
    return pipeline.stages["Source"].actions["app"].with_["url"]


@pytest.mark.parametrize(
    ("url", "meant"),
    [(".", "project"), ("./sub", "project/sub"), ("../other", "other"), ("..", ".")],
)
def test_a_url_that_starts_with_a_dot_is_a_folder_beside_the_file(
    tmp_path: Path, url: str, meant: str
) -> None:
    found = url_of(written(tmp_path, url=url))

    assert found == str((tmp_path / meant).resolve())


@pytest.mark.parametrize(
    "url",
    ["https://git.example/shop.git", "git@git.example:shop.git", "/srv/shop", ".git"],
)
def test_any_other_url_stays(tmp_path: Path, url: str) -> None:
    assert url_of(written(tmp_path, url=url)) == url


@pytest.mark.parametrize("root", ["./site", "site"])
def test_the_root_of_a_host_lies_beside_the_file(tmp_path: Path, root: str) -> None:
    environment = written(tmp_path, root=root).environments["production"]

    assert environment["root"] == str(tmp_path / "project" / "site")


def test_a_definition_without_a_file_is_taken_as_it_is() -> None:
    pipeline = load(TEXT % ("./site", "."))

    assert url_of(pipeline) == "."

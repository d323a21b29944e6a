"""A catalogue that does not change with the tasks, and a definition that is right."""

from pathlib import Path

import pytest

from prefect_delivery.definition.catalogue import Catalogue

SHOP = """\
pipeline: shop
on: {push: {branches: [main]}}
variables: {greeting: {default: hello}}
environments:
  production: {kind: host, root: ./site, port: 8080}
stages:
  Source:
    actions:
      app: {uses: source/git, with: {url: ".", branch: main}}
  Build:
    actions:
      package:
        uses: build/commands
        with: {commands: ["make dist"], environment: {REVISION: "#{app.commit}"}}
        outputs: {site: ["dist/**"]}
  Production:
    actions:
      deploy: {uses: deploy/environment, inputs: site, with: {environment: production}}
"""


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue.load(Path(__file__).with_name("catalogue.json"))


@pytest.fixture
def shop() -> str:
    return SHOP

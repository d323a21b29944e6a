"""The example of a plain flow, on a real git server and a real Prefect server."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from git_http import GitServer

EXAMPLES = Path(__file__).parents[3] / "examples"

Deliver = Callable[[str, Path], str]


@pytest.fixture
def deliver_site(prefect_server: None) -> Deliver:
    spec = importlib.util.spec_from_file_location("plain", EXAMPLES / "plain_flow.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Deliver", module.deliver_site)


def test_the_plain_flow_delivers_and_takes_back_what_fails_after_the_deploy(
    deliver_site: Deliver, git_server: GitServer, tmp_path: Path
) -> None:
    work, root = tmp_path / "static-site", tmp_path / "root"
    shutil.copytree(EXAMPLES / "static-site", work)
    front = root / "current/index.html"

    first = deliver_site(git_server.publish(work), root)
    template = work / "template.html"
    template.write_text(template.read_text().replace("<h1>$title</h1>", ""))
    with pytest.raises(ValueError, match="no title"):
        deliver_site(git_server.publish(work), root)

    assert "<h1>Index</h1>" in first
    assert front.read_text() == first

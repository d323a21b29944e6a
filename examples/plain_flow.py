"""Deliver the static site with a Prefect flow of your own, without a pipeline.

Every action is an ordinary Prefect task. Under `transaction()` a failure after the deploy
takes the release back.
"""

import sys
from pathlib import Path

from prefect import flow, task
from prefect.transactions import transaction

from prefect_delivery.blocks import HostEnvironment
from prefect_delivery.tasks.build.commands import run_commands
from prefect_delivery.tasks.deploy.environment import deploy
from prefect_delivery.tasks.source.git import checkout
from prefect_delivery.tasks.test.commands import run_tests


@task
def read_front_page(root: Path) -> str:
    """The page that visitors see now; fails when it lacks its title."""
    page = (root / "current/index.html").read_text()
    if "<h1>Index</h1>" not in page:
        raise ValueError("the front page has no title")
    return page


@flow
def deliver_site(url: str, root: Path) -> str:
    """Build, check and release the site at `url` into `root`; return the front page."""
    source = checkout(url).artifacts["source"]
    built = run_commands(source, ["python3 build.py"], outputs={"site": ["site/"]})
    site = built.artifacts["site"]
    check = 'python3 check_links.py "$ARTIFACT_SITE"'
    run_tests(source, [check], junit=["links.xml"], extra={"site": site})
    with transaction():
        deploy(site, HostEnvironment(root=root))
        return read_front_page(root)


if __name__ == "__main__":
    print(deliver_site(sys.argv[1], Path(sys.argv[2])))

"""Reading a definition loads little: `validate` shall answer at once."""

import json
import subprocess
import sys

SCRIPT = """
import json, sys
from prefect_delivery.definition import load
pipeline = load(sys.stdin.read())
print(json.dumps([pipeline.pipeline, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_reading_a_definition_imports_neither_prefect_nor_sql_nor_aws(
    shop: str,
) -> None:
    # The shipped catalogue has these two actions as long as the package has tasks.
    text = shop.replace("  production: {kind: host, root: ./site, port: 8080}", "  {}")

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=text.replace(
            "deploy: {uses: deploy/environment, inputs: site,"
            " with: {environment: production}}",
            "ask: {uses: approval/manual}",
        ),
        capture_output=True,
        text=True,
        check=True,
    )

    name, modules = json.loads(done.stdout)
    assert name == "shop"
    assert not {"prefect", "sqlalchemy", "boto3", "docker", "httpx"} & set(modules)

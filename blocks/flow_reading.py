"""What Prefect must know of flows before it can run them, read from their files.

    python -I flow_reading.py ENTRYPOINT...

Runs as a program of its own, in the folder of a release: Prefect evaluates the types of
a flow's parameters, and so imports what the file imports. In our own process the
modules of one release would be found when the next is read.
"""

import ast
import json
import sys
from pathlib import Path
from typing import Any


def read(entrypoint: str) -> dict[str, Any]:
    """A flow's name, description and the schema of its parameters, or what is wrong."""
    from prefect.exceptions import PrefectException
    from prefect.flows import load_flow_arguments_from_entrypoint
    from prefect.utilities.callables import parameter_schema_from_entrypoint

    try:
        said = load_flow_arguments_from_entrypoint(entrypoint, {"name", "description"})
        schema = parameter_schema_from_entrypoint(entrypoint).model_dump_for_openapi()
        function = _function(entrypoint)
    except (OSError, SyntaxError, ValueError, PrefectException) as error:
        return {"problem": str(error) or type(error).__name__}
    return {
        "entrypoint": entrypoint,
        "name": said["name"],
        "description": said.get("description") or ast.get_docstring(function) or "",
        # Otherwise Prefect takes a run with a parameter that the flow has not.
        "schema": {**schema, "additionalProperties": function.args.kwarg is not None},
    }


def _function(entrypoint: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    file, _, name = entrypoint.rpartition(":")
    for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name == name:
                return node
    raise ValueError(f"there is no function '{name}'")


if __name__ == "__main__":
    print(json.dumps([read(each) for each in sys.argv[1:]]))

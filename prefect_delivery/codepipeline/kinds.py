"""Which kind of file a text is, told by its outermost keys."""

import re
from enum import Enum
from pathlib import PurePath

from prefect_delivery.codepipeline.json_text import read_json
from prefect_delivery.codepipeline.template_text import read_template
from prefect_delivery.definition.document import Document
from prefect_delivery.definition.reader import read

_KEY = re.compile(
    r"""^(?:"([^"\n]+)"|'([^'\n]+)'|([\w.-][^:\n#'"]*?))\s*:(?=\s|$)""", re.MULTILINE
)
_TOKEN = re.compile(r'"((?:[^"\\\n]|\\.)*)"\s*(:)?|[{}\[\]]')
_DECLARED = {"roleArn", "artifactStore", "artifactStores", "pipelineType"}
_OURS = {"pipeline", "stages", "on", "mode", "variables", "environments"}
_BUILD = {"phases", "batch", "artifacts", "reports", "cache", "env", "run-as", "proxy"}
_APP = {"os", "files", "hooks", "permissions", "resources"}


class Kind(Enum):
    """A kind of file, by the name that people know."""

    NATIVE = "pipeline definition"
    DECLARATION = "CodePipeline declaration"
    TEMPLATE = "CloudFormation template"
    BUILDSPEC = "buildspec"
    APPSPEC = "appspec"
    OTHER = "file of another kind"

    @property
    def is_pipeline(self) -> bool:
        """Whether pipelines stand in such files."""
        return self in {Kind.NATIVE, Kind.DECLARATION, Kind.TEMPLATE}


def kind_of(text: str, file: str) -> Kind:
    """The kind of file that a text looks like; a native definition when in doubt.

    Args:
        file: Its name, which decides where the text does not.
    """
    outer = _outer(text)
    lower = {key.lower(): value for key, value in outer.items()}
    # An appspec lists what is deployed; a template names its resources.
    listed = lower.get("resources", "").lstrip()[:1] in {"[", "-"}
    if "AWSTemplateFormatVersion" in outer or ("Resources" in outer and not listed):
        return Kind.TEMPLATE
    version = lower.get("version", "").lstrip(" \t\"'")
    if version.startswith("0.0") and lower.keys() & _APP:
        return Kind.APPSPEC
    if "phases" in outer or ("version" in outer and "batch" in outer):
        return Kind.BUILDSPEC
    if "pipeline" in outer and "stages" in outer:
        return Kind.NATIVE
    if "pipeline" in outer:
        # Ours is a name, CodePipeline's an object.
        value = outer["pipeline"].partition("\n")[0].strip()
        return Kind.DECLARATION if value[:1] in {"", "{", "#"} else Kind.NATIVE
    if outer.keys() & _DECLARED or ("stages" in outer and "name" in outer):
        return Kind.DECLARATION
    if "version" in lower and lower.keys() & _APP and "detail-type" not in outer:
        return Kind.APPSPEC
    if "version" in outer and outer.keys() & _BUILD:
        return Kind.BUILDSPEC
    if _is_json(text) and outer and not outer.keys() & _OURS:
        return Kind.OTHER
    return _kind_by_name(file)


def read_any(text: str, file: str) -> Document:
    """Read JSON, or YAML in which CloudFormation's short tags are allowed.

    Raises:
        DefinitionError: Neither, ambiguous or beyond a limit.
    """
    kind = kind_of(text, file)
    if _is_json(text) or (PurePath(file).suffix == ".json" and kind is not Kind.NATIVE):
        return read_json(text, file)
    return read_template(text, file) if kind is Kind.TEMPLATE else read(text, file)


def _is_json(text: str) -> bool:
    return text.removeprefix("\ufeff").lstrip()[:1] == "{"


def _outer(text: str) -> dict[str, str]:
    """Keys of the outermost mapping, each with how its value begins.

    Found without reading the values, so that it serves for broken text as well.
    """
    if _is_json(text):
        return _outer_of_json(text)
    text = text.removeprefix("\ufeff")
    return {
        next(part for part in match.groups() if part): text[match.end() :][:200]
        for match in _KEY.finditer(text)
    } or _outer_of_json(text)


def _outer_of_json(text: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    depth, level = 0, int(_is_json(text))
    for match in _TOKEN.finditer(text):
        if match[0] in {"{", "["}:
            depth += 1
        elif match[0] in {"}", "]"}:
            depth -= 1
        elif match[2] and depth <= level:
            keys.setdefault(match[1], text[match.end() :][:200].lstrip())
    return keys


def _kind_by_name(file: str) -> Kind:
    name = PurePath(file).name.lower()
    if "buildspec" in name:
        return Kind.BUILDSPEC
    return Kind.APPSPEC if "appspec" in name else Kind.NATIVE

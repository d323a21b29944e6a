import json

import pytest

from prefect_delivery.codepipeline.exchange import (
    export_declaration,
    import_declaration,
)
from prefect_delivery.codepipeline.writing import definition_text, notes
from prefect_delivery.errors import DefinitionError
from tests.unit.codepipeline.conftest import Data, Declared, deploy, kind, pipeline

TOKEN = "canary0Token0of0forty0characters0000000"


def declaration(token: str) -> Data:
    source = {
        "name": "Code",
        "actionTypeId": kind("Source", "GitHub", "ThirdParty"),
        "configuration": {
            "Owner": "acme",
            "Repo": "shop",
            "Branch": "main",
            "OAuthToken": token,
        },
        "outputArtifacts": [{"name": "App"}],
    }
    found = pipeline()
    found["stages"][0]["actions"] = [source]
    return {"pipeline": found}


def test_a_literal_token_is_masked_in_all_that_an_import_gives(
    declared: Declared,
) -> None:
    imported = import_declaration(declared(declaration(TOKEN)))

    written = definition_text(imported, "pipeline.json")
    snapshot = json.dumps(imported.pipeline.snapshot())
    exported = export_declaration(imported.pipeline)
    assert TOKEN not in written + snapshot + json.dumps(exported)
    assert TOKEN not in "".join(notes(imported))
    assert exported == declaration("****")


@pytest.mark.parametrize(
    "reference",
    ["****", "{{resolve:secretsmanager:github:SecretString:token}}", "<your-token>"],
)
def test_what_only_refers_to_a_token_comes_back_as_it_was(
    declared: Declared, reference: str
) -> None:
    imported = import_declaration(declared(declaration(reference)))

    assert export_declaration(imported.pipeline) == declaration(reference)


def test_what_is_too_short_for_a_secret_comes_back_as_it_was(
    declared: Declared,
) -> None:
    runscope = {
        "name": "Api",
        "actionTypeId": kind("Test", "Runscope", "ThirdParty"),
        "configuration": {"TestId": "5432d5c0", "ClientToken": "123"},
    }
    found = {"pipeline": pipeline(runscope)}

    assert export_declaration(import_declaration(declared(found)).pipeline) == found


def test_credentials_in_a_url_are_masked(declared: Declared) -> None:
    approval = deploy(
        actionTypeId=kind("Approval", "Manual"),
        configuration={"ExternalEntityLink": f"https://ann:{TOKEN}@shop.example/x"},
    )
    del approval["inputArtifacts"], approval["region"]

    imported = import_declaration(declared({"pipeline": pipeline(approval)}))

    exported = json.dumps(export_declaration(imported.pipeline))
    assert "https://****@shop.example/x" in exported
    assert TOKEN not in exported


def test_an_error_beside_a_token_does_not_show_it(declared: Declared) -> None:
    found = declaration(TOKEN)
    del found["pipeline"]["roleArn"]
    found["pipeline"]["stages"][0]["actions"][0]["configuration"]["OAuthToken"] = [
        TOKEN
    ]

    with pytest.raises(DefinitionError) as wrong:
        declared(found)

    assert TOKEN not in str(wrong.value)

"""What a CloudFormation template's functions leave in the declaration that it makes."""

from pathlib import Path

import pytest

from prefect_delivery.codepipeline.declaration import Declaration
from prefect_delivery.codepipeline.exchange import import_declaration
from prefect_delivery.codepipeline.reading import declarations_in
from prefect_delivery.errors import DefinitionError

TEMPLATE = """\
Parameters:
  Branch: {Type: String, Default: main}
  Stack: {Type: String}
  Names: {Type: CommaDelimitedList, Default: 'first, second'}
  Empty: {Type: String, Default: ''}
Mappings:
  Regions:
    eu-west-1: {Bucket: irish}
Conditions:
  IsMain: !Equals [!Ref Branch, main]
  HasName: !Not [!Equals [!Ref Empty, '']]
  Unknown: !Equals [!Ref Stack, shop]
Resources:
  Bucket: {Type: 'AWS::S3::Bucket'}
  Release:
    Type: AWS::CodePipeline::Pipeline
    Properties:
      Name: shop
      RoleArn: !GetAtt Role.Arn
      ArtifactStore: {Type: S3, Location: STORE}
      Stages:
        - Name: Source
          Actions:
            - Name: App
              ActionTypeId: {Category: Source, Owner: AWS, Provider: S3, Version: 1}
              Configuration: {S3Bucket: acme, S3ObjectKey: VALUE}
              Namespace: From
              OutputArtifacts: [{Name: App}]
        - Name: Release
          Actions:
            - Name: Site
              ActionTypeId: {Category: Deploy, Owner: AWS, Provider: S3, Version: 1}
              Configuration: {BucketName: ASKED, Extract: true}
              InputArtifacts: [{Name: App}]
"""


def read(folder: Path, *, value: str = "app.zip", asked: str = "site") -> Declaration:
    file = folder / "template.yaml"
    file.write_text(
        TEMPLATE.replace("VALUE", value)
        .replace("ASKED", asked)
        .replace("STORE", "!Ref Bucket")
    )
    (found,) = declarations_in(file).values()
    return found


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("!Ref Branch", "main"),
        ("{Ref: Stack}", "${Stack}"),
        ("!Sub '${Branch}/app.zip'", "main/app.zip"),
        ("!Sub ['${A}/${Branch}', {A: !Ref Stack}]", "${Stack}/main"),
        ("!Sub '${!Branch}'", "${Branch}"),
        ("!Join ['/', [!Ref Branch, app, !GetAtt Bucket.Arn]]", "main/app/${Bucket.Arn}"),
        ("!Select [1, !Ref Names]", "second"),
        ("!Select [0, !Split ['.', app.zip]]", "app"),
        ("!FindInMap [Regions, eu-west-1, Bucket]", "irish"),
        ("!FindInMap [Regions, !Ref 'AWS::Region', Bucket]", "${Regions.AWS::Region.Bucket}"),
        ("!If [IsMain, app.zip, other.zip]", "app.zip"),
        ("!If [HasName, !Ref Empty, unnamed]", "unnamed"),
        ("!If [Unknown, app.zip, other.zip]", "app.zip"),
        ("!ImportValue Shared", "${Shared}"),
        ("{'Fn::ImportValue': !Sub '${Stack}-Key'}", "${Stack-Key}"),
    ],
)  # fmt: skip
def test_a_function_leaves_what_a_template_tells(
    written: str, value: str, tmp_path: Path
) -> None:
    declared = read(tmp_path, value=written).pipeline

    action = declared["stages"][0]["actions"][0]
    assert action["configuration"]["S3ObjectKey"] == value


def test_an_imported_name_may_be_the_artifact_store(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    store = "{'Fn::ImportValue': {'Fn::Sub': '${Stack}-Bucket'}}"
    file.write_text(TEMPLATE.replace("STORE", store))

    (found,) = declarations_in(file).values()

    assert found.pipeline["artifactStore"]["location"] == "Stack-Bucket"


def test_a_variable_may_be_one_that_aws_has_added_since(tmp_path: Path) -> None:
    imported = import_declaration(read(tmp_path, asked="'#{From.NewerThanWe}'"))

    assert imported.pipeline.stages["Release"]


def test_a_variable_of_no_action_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"no action has the namespace"):
        import_declaration(read(tmp_path, asked="'#{Nobody.Key}'"))

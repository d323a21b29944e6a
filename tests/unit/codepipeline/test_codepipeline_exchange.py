import json
from pathlib import Path
from typing import Any

import pytest

from prefect_delivery.codepipeline.availability import refuse_ended, refuse_missing
from prefect_delivery.codepipeline.exchange import (
    export_declaration,
    import_declaration,
)
from prefect_delivery.codepipeline.reading import declarations_in, the_one
from prefect_delivery.codepipeline.writing import definition_text
from prefect_delivery.definition import load
from prefect_delivery.definition.catalogue import Catalogue
from prefect_delivery.definition.models import Pipeline
from prefect_delivery.errors import DefinitionError, Refused
from tests.unit.codepipeline.conftest import (
    Declared,
    deploy,
    kind,
    pipeline,
    source,
)

Data = dict[str, Any]

COMMANDS = deploy(
    name="Build",
    actionTypeId=kind("Compute", "Commands"),
    configuration={"ComputeType": "BUILD_GENERAL1_SMALL"},
    commands=["echo '#{SourceVariables.CommitId}'", 'make "#{variables.target}"'],
    environmentVariables=[
        {"name": "COLOUR", "value": "red"},
        {"name": "TOKEN", "value": "shop:token", "type": "SECRETS_MANAGER"},
    ],
    outputVariables=["VERSION"],
    outputArtifacts=[{"name": "Built", "files": ["dist/**"]}],
    runOrder=1,
)
RULE = {
    "name": "ready",
    "ruleTypeId": {**kind("Rule", "VariableCheck")},
    "configuration": {
        "Variable": "#{SourceVariables.BranchName}",
        "Operator": "EQ",
        "Value": "main",
    },
    "region": "eu-west-1",
}


def deploying(name: str, provider: str, **configuration: str) -> Data:
    """A deploy action whose keys look like those in AWS' own examples."""
    return deploy(
        name=name,
        actionTypeId=kind("Deploy", provider),
        configuration=configuration,
        roleArn="arn:aws:iam::111122223333:role/deploy",
    )


STACK = {"StackName": "shop", "ChangeSetName": "next"}
DEPLOYING = pipeline(
    {
        **deploying(
            "Plan",
            "CloudFormation",
            **STACK,
            ActionMode="CHANGE_SET_REPLACE",
            TemplatePath="App::template.yaml",
            TemplateConfiguration="App::live.json",
            Capabilities="CAPABILITY_IAM,CAPABILITY_AUTO_EXPAND",
            RoleArn="arn:aws:iam::111122223333:role/stack",
            ParameterOverrides='{"Key": {"Fn::GetArtifactAtt": ["App", "ObjectKey"]},'
            ' "Tag": "#{SourceVariables.CommitId}"}',
            OutputFileName="outputs.json",
        ),
        "outputArtifacts": [{"name": "Outputs"}],
        "namespace": "Stack",
    },
    {
        **deploying(
            "Execute", "CloudFormation", **STACK, ActionMode="CHANGE_SET_EXECUTE"
        ),
        "inputArtifacts": [],
        "runOrder": 3,
    },
    deploying(
        "Sets",
        "CloudFormationStackSet",
        StackSetName="shop",
        TemplatePath="App::template.yaml",
        Parameters="ParameterKey=A,ParameterValue=1",
        DeploymentTargets="Accounts=111122223333,444455556666",
        Regions="eu-west-1,us-east-1",
        FailureTolerancePercentage="20",
        MaxConcurrentPercentage="25",
        ConcurrencyMode="SOFT_FAILURE_TOLERANCE",
        OrganizationsAutoDeployment="Disabled",
    ),
    deploying(
        "Instances",
        "CloudFormationStackInstances",
        StackSetName="shop",
        DeploymentTargets="App::accounts.json",
        Regions="eu-west-1",
    ),
    {
        **deploying(
            "Site",
            "S3",
            BucketName="site",
            Extract="true",
            ObjectKey="#{Stack.Folder}",
            CannedACL="public-read",
            CacheControl="max-age=60",
            KMSEncryptionKeyARN="arn:aws:kms:eu-west-1:111122223333:key/k",
        ),
        "runOrder": 3,
    },
    deploying(
        "Old", "ElasticBeanstalk", ApplicationName="shop", EnvironmentName="shop-live"
    ),
    deploying(
        "Flags",
        "AppConfig",
        Application="a1",
        Environment="e1",
        ConfigurationProfile="p1",
        InputArtifactConfigurationPath="flags.json",
        DeploymentStrategy="AppConfig.AllAtOnce",
    ),
    deploying(
        "Product",
        "ServiceCatalog",
        ProductId="prod-1",
        TemplateFilePath="/template.yaml",
        ProductVersionName="v1",
        ProductType="CLOUD_FORMATION_TEMPLATE",
    ),
)
CASES: dict[str, Data] = {
    "deploying": DEPLOYING,
    "get-pipeline": {
        "pipeline": pipeline(),
        "metadata": {"pipelineArn": "arn:aws:codepipeline:eu-west-1:111122223333:shop"},
    },
    "create-pipeline": {
        "pipeline": pipeline(pipelineType="V1"),
        "tags": [{"key": "team", "value": "shop"}],
    },
    "bare": pipeline(),
    "empty keys": pipeline(
        deploy(inputArtifacts=[{"name": "App"}], outputArtifacts=[], runOrder=1)
    ),
    "commands": pipeline(
        COMMANDS, variables=[{"name": "target", "defaultValue": "all"}]
    ),
    "custom": pipeline(
        deploy(
            actionTypeId=kind("Build", "OurJenkins", "Custom"),
            configuration={"ProjectName": "shop"},
        )
    ),
    "approval": pipeline(
        deploy(),
        {
            "name": "Ask",
            "actionTypeId": kind("Approval", "Manual"),
            "configuration": {
                "CustomData": "look",
                "NotificationArn": "arn:aws:sns:eu-west-1:111122223333:ask",
            },
            "timeoutInMinutes": 60,
        },
    ),
    "conditions": pipeline(
        stage={
            "beforeEntry": {"conditions": [{"result": "SKIP", "rules": [RULE]}]},
            "onFailure": {"result": "RETRY"},
        },
        executionMode="QUEUED",
        pipelineType="V2",
    ),
    "failing on failure": pipeline(stage={"onFailure": {"result": "FAIL"}}),
    "triggers": pipeline(
        triggers=[
            {
                "providerType": "CodeStarSourceConnection",
                "gitConfiguration": {
                    "sourceActionName": "Source",
                    "push": [
                        {"tags": {"includes": ["v*"]}},
                        {
                            "branches": {"includes": ["main"], "excludes": ["x"]},
                            "filePaths": {"includes": ["app/**"]},
                        },
                        {"branches": {"includes": ["release/*"]}},
                    ],
                    "pullRequest": [{"events": ["CLOSED"]}],
                },
            }
        ]
    ),
    "names that we reserve": pipeline(
        deploy(name="pipeline", namespace="execution"),
        deploy(
            name="SourceVariables",
            runOrder=3,
            configuration={"BucketName": "#{execution.ObjectKey}", "Extract": "true"},
        ),
    ),
    "a service that ended": pipeline(
        deploy(actionTypeId=kind("Deploy", "OpsWorks"), configuration={"Stack": "s"})
    ),
    "keys that nobody knows": pipeline(
        deploy(configuration={"BucketName": "b", "fooBar": "1", "FooBar": "2"})
    ),
}


@pytest.mark.parametrize("data", CASES.values(), ids=CASES)
def test_a_declaration_comes_back_as_it_was(
    data: Data, declared: Declared, catalogue: Catalogue
) -> None:
    imported = import_declaration(declared(data), catalogue=catalogue)

    written = load(definition_text(imported, "shop.json"), catalogue=catalogue)

    assert written == imported.pipeline
    assert export_declaration(written, catalogue=catalogue) == data


def test_branches_and_tags_are_two_filters_there(
    declared: Declared, catalogue: Catalogue
) -> None:
    imported = import_declaration(declared(CASES["triggers"]), catalogue=catalogue)
    on = {"push": {"branches": ["main"], "tags": ["v*"]}}
    both = {**imported.pipeline.snapshot(), "on": on}
    with_paths = {**both, "on": {"push": {**on["push"], "paths": ["src/**"]}}}

    data = export_declaration(Pipeline.model_validate(both), catalogue=catalogue)

    (trigger,) = data["triggers"]
    assert trigger["gitConfiguration"]["push"] == [
        {"branches": {"includes": ["main"]}},
        {"tags": {"includes": ["v*"]}},
    ]
    # There a tag starts a pipeline whatever has changed.
    with pytest.raises(DefinitionError, match="tags, or branches and file paths"):
        export_declaration(Pipeline.model_validate(with_paths), catalogue=catalogue)


def test_each_of_several_filters_is_one_of_ours(
    declared: Declared, catalogue: Catalogue
) -> None:
    imported = import_declaration(declared(CASES["triggers"]), catalogue=catalogue)

    on = imported.pipeline.on

    assert [(each.tags, each.branches) for each in on.push or []] == [
        (["v*"], []),
        ([], ["main"]),
        ([], ["release/*"]),
    ]
    assert (
        "trigger" not in definition_text(imported, "shop.json").partition("stages")[0]
    )
    assert "triggers" not in imported.data["codepipeline"]["declaration"]


@pytest.mark.parametrize("data", CASES.values(), ids=CASES)
def test_it_comes_back_with_the_actions_that_are_installed(
    data: Data, declared: Declared
) -> None:
    imported = import_declaration(declared(data))

    written = load(definition_text(imported, "shop.json"))

    assert export_declaration(written) == data


def test_every_way_to_deploy_is_installed(declared: Declared) -> None:
    imported = import_declaration(declared(DEPLOYING))

    assert imported.pipeline.codepipeline
    assert imported.pipeline.codepipeline.only_there == []


def test_commands_get_values_by_the_environment_only(
    declared: Declared, catalogue: Catalogue
) -> None:
    found = import_declaration(declared(CASES["commands"]), catalogue=catalogue)

    build = found.pipeline.stages["Release"].actions["Build"]
    assert build.with_["commands"][:2] == [
        "echo ''\"${SOURCEVARIABLES_COMMITID}\"''",
        'make "${VARIABLES_TARGET}"',
    ]
    assert build.with_["environment"] == {
        "COLOUR": "red",
        "SOURCEVARIABLES_COMMITID": "#{SourceVariables.CommitId}",
        "VARIABLES_TARGET": "#{variables.target}",
    }
    assert build.with_["secrets"] == {"TOKEN": "shop-token"}


def test_an_edit_of_the_written_file_is_exported(
    declared: Declared, catalogue: Catalogue
) -> None:
    imported = import_declaration(declared(CASES["bare"]), catalogue=catalogue)
    text = definition_text(imported, "shop.json").replace("shop-site", "other-site")

    data = export_declaration(load(text, catalogue=catalogue), catalogue=catalogue)

    (action,) = data["stages"][1]["actions"]
    assert action["configuration"]["BucketName"] == "other-site"


def test_an_edit_that_a_kept_part_would_hide_is_refused(
    declared: Declared, catalogue: Catalogue
) -> None:
    imported = import_declaration(declared(CASES["commands"]), catalogue=catalogue)
    text = definition_text(imported, "shop.json").replace("make ", "gmake ", 1)

    with pytest.raises(
        Refused, match=r"stages\.Release\.actions\.Build\.with\.commands"
    ):
        export_declaration(load(text, catalogue=catalogue), catalogue=catalogue)


KEPT = """
codepipeline:
  declaration:
    roleArn: arn:aws:iam::111122223333:role/pipeline
    artifactStore: {type: S3, location: shop-artifacts}
  only_there: [source/s3]
"""
OWN = """\
pipeline: shop
stages:
  Source:
    actions:
      app:
        uses: source/s3
        with: {s3_bucket: b, s3_object_key: k}
        outputs: {app: []}
  Build:
    actions:
      make: {uses: build/commands, with: {commands: [make]}, inputs: app, outputs: {x: ["**"]}}
      ask: {uses: approval/manual, run_order: 2, with: {message: look}, timeout: 30}
"""


def test_a_definition_that_was_written_by_hand_is_exported(
    catalogue: Catalogue,
) -> None:
    data = export_declaration(
        load(OWN + KEPT, catalogue=catalogue), catalogue=catalogue
    )

    first, second = data["pipeline"]["stages"]
    assert first["actions"][0]["configuration"] == {
        "S3Bucket": "b",
        "S3ObjectKey": "k",
    }
    assert second["actions"][0]["commands"] == ["make"]
    assert second["actions"][1]["timeoutInMinutes"] == 30
    assert data["pipeline"]["pipelineType"] == "V2"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("commands: [make]", "commands: [make], image: x", "with.image"),
        ("ask: {", "ask: {retry: {}, ", "Build.actions.ask.retry"),
        ("pipeline: shop", "pipeline: shop\non: {event: [x]}", "cannot say 'on'"),
        ("roleArn", "other", "needs 'roleArn'"),
    ],
)
def test_what_codepipeline_cannot_say_is_named(
    old: str, new: str, message: str, catalogue: Catalogue
) -> None:
    definition = load((OWN + KEPT).replace(old, new), catalogue=catalogue)

    with pytest.raises(Refused, match=message):
        export_declaration(definition, catalogue=catalogue)


def test_a_run_names_the_action_that_is_missing(
    declared: Declared, catalogue: Catalogue
) -> None:
    custom = deploy(actionTypeId=kind("Test", "Nobody", "ThirdParty"))
    found = import_declaration(declared(pipeline(custom)), catalogue=catalogue)

    with pytest.raises(Refused, match=r"'Source / Source'|'Release / Site'"):
        refuse_missing(found.pipeline)


def test_a_plan_refuses_what_aws_has_ended(
    declared: Declared, catalogue: Catalogue
) -> None:
    found = import_declaration(
        declared(CASES["a service that ended"]), catalogue=catalogue
    )

    with pytest.raises(Refused, match="OpsWorks, which AWS has ended"):
        refuse_ended(found.pipeline)


TEMPLATE = """\
Parameters:
  Stage: {Type: String, Default: prod}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Mappings:
  Buckets: {prod: {Name: shop-prod}}
Resources:
  Site: {Type: AWS::S3::Bucket}
  Shop:
    Type: AWS::CodePipeline::Pipeline
    Properties:
      Name: !Sub shop-${Stage}
      RoleArn: !GetAtt Role.Arn
      ArtifactStore: {Type: S3, Location: !FindInMap [Buckets, !Ref Stage, Name]}
      Stages:
        - Name: Source
          Actions:
            - Name: App
              ActionTypeId: {Category: Source, Owner: AWS, Provider: S3, Version: 1}
              Configuration: {S3Bucket: !Ref Site, S3ObjectKey: a, PollForSourceChanges: false}
              OutputArtifacts: [{Name: App}]
        - Name: Release
          Actions:
            - !If
              - IsProd
              - Name: Ask
                ActionTypeId: {Category: Approval, Owner: AWS, Provider: Manual, Version: 1}
              - !Ref AWS::NoValue
            - Name: Site
              RunOrder: "2"
              ActionTypeId: {Category: Deploy, Owner: AWS, Provider: S3, Version: "1"}
              Configuration: {BucketName: !Join ["-", [site, !Ref AWS::Region]], Extract: true}
              InputArtifacts: [{Name: App}]
  Other:
    Type: AWS::CodePipeline::Pipeline
    Condition: IsProd
    Properties: !If [IsProd, {}, {}]
"""


def test_a_template_is_worked_out_as_far_as_it_tells(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE.partition("  Other:")[0])

    (shop,) = declarations_in(file).values()

    first, second = shop.pipeline["stages"]
    assert shop.pipeline["name"] == "shop-prod"
    assert shop.pipeline["artifactStore"]["location"] == "shop-prod"
    assert first["actions"][0]["configuration"] == {
        "S3Bucket": "${Site}",
        "S3ObjectKey": "a",
        "PollForSourceChanges": "false",
    }
    assert [action["name"] for action in second["actions"]] == ["Ask", "Site"]
    assert second["actions"][1]["runOrder"] == 2
    assert second["actions"][1]["configuration"]["BucketName"] == "site-${AWS::Region}"


def test_a_parameter_of_a_template_may_be_given(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE.partition("  Other:")[0])

    (shop,) = declarations_in(file, {"Stage": "test"}).values()

    assert [each["name"] for each in shop.pipeline["stages"][1]["actions"]] == ["Site"]


def test_a_mistake_in_a_template_has_its_place(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE)

    with pytest.raises(DefinitionError) as caught:
        declarations_in(file)

    assert {problem.line for problem in caught.value.problems} == {35}


def test_one_of_several_pipelines_must_be_named(declared: Declared) -> None:
    found = {"A": declared(pipeline()), "B": declared(pipeline(name="b"))}

    assert the_one(found, Path("t"), "b") is found["B"]
    with pytest.raises(Refused, match="which pipeline of t"):
        the_one(found, Path("t"))


WRONG: list[tuple[Data, str]] = [
    (pipeline(deploy(), deploy()), "action 'Site' is declared twice"),
    (pipeline(deploy(inputArtifacts=[{"name": "Ap"}])), "did you mean 'App'"),
    (pipeline(deploy(runOrder="1")), "a whole number"),
    (pipeline(deploy(runOrdr=1)), "did you mean 'runOrder'"),
    (
        pipeline(source(name="Late", outputArtifacts=[])),
        "must stand in the first stage",
    ),
    (pipeline(deploy(timeoutInMinutes=10)), "only a manual approval"),
    (pipeline(name="a b"), "pipeline name"),
    (pipeline(stages=[]), "at least two stages"),
    (pipeline(artifactStores={}), "one of them is allowed"),
    (pipeline(executionMode="FAST"), "execution mode"),
    (
        pipeline(
            stage={
                "beforeEntry": {"conditions": [{"result": "RETRY", "rules": [RULE]}]}
            }
        ),
        "the result of 'beforeEntry' is 'FAIL' or 'SKIP'",
    ),
    (
        pipeline(stage={"onFailure": {"result": "ROLLBACK"}}, executionMode="PARALLEL"),
        "cannot roll back",
    ),
    (pipeline(deploy(configuration={"BucketName": "x" * 50_001})), "at most 1000"),
]


@pytest.mark.parametrize(("data", "message"), WRONG, ids=[m for _, m in WRONG])
def test_what_aws_refuses_is_refused_at_its_place(
    data: Data, message: str, declared: Declared
) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        declared({"pipeline": data})

    assert all(problem.line for problem in caught.value.problems)


def test_a_long_value_is_accepted_with_a_warning(declared: Declared) -> None:
    long = deploy(configuration={"BucketName": "x" * 1001, "Extract": "true"})

    found = declared({"pipeline": pipeline(long)})

    assert "longer than the 1000 characters" in found.warnings[0].message


def test_a_declaration_may_be_yaml(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    # JSON is YAML; a key of its own line makes it look like it.
    file.write_text("pipeline:\n  " + json.dumps(pipeline()))

    assert list(declarations_in(file)) == ["shop"]

import pytest

from prefect_delivery.codepipeline import parameter, provider, uses_of
from prefect_delivery.codepipeline.action_types import ACTIONS, RULES, ActionType
from prefect_delivery.codepipeline.names import key_of, parameter_of
from prefect_delivery.definition.catalogue import Catalogue


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("ProjectName", "project_name"),
        ("S3Bucket", "s3_bucket"),
        ("S3ObjectKey", "s3_object_key"),
        ("KMSEncryptionKeyARN", "kms_encryption_key_arn"),
        ("Image1ArtifactName", "image1_artifact_name"),
        ("AllowOverrideForS3ObjectKey", "allow_override_for_s3_object_key"),
        ("OAuthToken", "oauth_token"),
        ("ECRRepositoryName", "ecr_repository_name"),
        ("CannedACL", "canned_acl"),
    ],
)
def test_a_key_becomes_a_parameter(key: str, expected: str) -> None:
    assert parameter(key) == expected


@pytest.mark.parametrize(
    ("category", "owner", "name", "expected"),
    [
        ("Source", "AWS", "CodeStarSourceConnection", "source/connection"),
        ("Source", "AWS", "CodeCommit", "source/codecommit"),
        ("Source", "ThirdParty", "GitHub", "source/github"),
        ("Build", "AWS", "ECRBuildAndPublish", "build/ecr-build-and-publish"),
        ("Compute", "AWS", "Commands", "build/commands"),
        ("Deploy", "AWS", "CodeDeployToECS", "deploy/codedeploy-to-ecs"),
        ("Deploy", "AWS", "CloudFormationStackSet", "deploy/cloudformation-stack-set"),
        ("Test", "ThirdParty", "GhostInspector", "test/ghost-inspector"),
        ("Build", "Custom", "OurJenkins", "invoke/custom-action"),
        ("Rule", "AWS", "CloudWatchAlarm", "rule/cloudwatch-alarm"),
    ],
)
def test_a_type_becomes_a_name(
    category: str, owner: str, name: str, expected: str
) -> None:
    assert uses_of(category, owner, name) == expected


def test_a_name_of_many_words_is_cut_between_them() -> None:
    assert provider("StepFunctions") == "step-functions"


def test_every_key_of_every_type_comes_back() -> None:
    for each in (*ACTIONS, *RULES):
        uses = uses_of(each.category, each.owner, each.provider)
        back = [key_of(uses, parameter_of(uses, key)) for key in each.keys]
        assert back == list(each.keys), uses


@pytest.mark.parametrize(
    "kind",
    [each for each in (*ACTIONS, *RULES) if not each.ended],
    ids=lambda kind: f"{kind.category}/{kind.provider}",
)
def test_each_type_that_aws_has_not_ended_is_carried_out_here(kind: ActionType) -> None:
    uses = uses_of(kind.category, kind.owner, kind.provider)

    spec = Catalogue.load().action(uses)

    assert spec, f"there is no {uses}"
    if uses not in {"build/commands", "rule/commands", "rule/deployment-window"}:
        known = spec.schema["properties"].keys()
        assert {parameter_of(uses, key) for key in kind.required} <= known

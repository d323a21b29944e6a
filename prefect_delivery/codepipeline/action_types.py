"""The action types and rule types that CodePipeline has: artifacts and keys of each.

Source: CodePipeline user guide, "Action structure reference" and "Rule structure
reference". It serves hints (a key that is missing or unknown) and the way back from our
names; the names themselves follow from rules in `names`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ActionType:
    """What an action or rule of a type takes and leaves.

    Attributes:
        inputs: The fewest and the most input artifacts.
        keys: Configuration keys; those in `required` must be given.
        ended: AWS has ended the service behind it.
        v2: Only pipelines of type V2 have it.
    """

    category: str
    provider: str
    owner: str
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    keys: tuple[str, ...]
    required: frozenset[str]
    ended: bool = False
    v2: bool = False


def _type(
    name: str,
    inputs: tuple[int, int],
    outputs: tuple[int, int],
    keys: str,
    *,
    owner: str = "AWS",
    ended: bool = False,
    v2: bool = False,
) -> ActionType:
    """A row of the table; a key that ends with `*` is required."""
    category, _, provider = name.partition("/")
    names = keys.split()
    return ActionType(
        category=category,
        provider=provider,
        owner=owner,
        inputs=inputs,
        outputs=outputs,
        keys=tuple(each.rstrip("*") for each in names),
        required=frozenset(each[:-1] for each in names if each.endswith("*")),
        ended=ended,
        v2=v2,
    )


_NONE, _ONE, _MAYBE, _FIVE = (0, 0), (1, 1), (0, 1), (0, 5)
_CODEBUILD = (
    "ProjectName* PrimarySource BatchEnabled CombineArtifacts BuildspecOverride "
    "EnvironmentVariables ServiceRoleArnOverride"
)
_IMAGES = " ".join(
    f"Image{number}ArtifactName Image{number}ContainerName" for number in range(1, 5)
)
_STACK_SET = "FailureTolerancePercentage MaxConcurrentPercentage ConcurrencyMode"

ACTIONS: tuple[ActionType, ...] = (
    _type(
        "Source/CodeCommit",
        _NONE,
        _ONE,
        "RepositoryName* BranchName* PollForSourceChanges OutputArtifactFormat",
    ),
    _type(
        "Source/S3",
        _NONE,
        _ONE,
        "S3Bucket* S3ObjectKey* PollForSourceChanges AllowOverrideForS3ObjectKey",
    ),
    _type("Source/ECR", _NONE, _ONE, "RepositoryName* ImageTag"),
    _type(
        "Source/CodeStarSourceConnection",
        _NONE,
        _ONE,
        "ConnectionArn* FullRepositoryId* BranchName* OutputArtifactFormat "
        "DetectChanges",
    ),
    _type(
        "Source/GitHub",
        _NONE,
        _ONE,
        "Owner* Repo* Branch* OAuthToken* PollForSourceChanges",
        owner="ThirdParty",
    ),
    _type("Build/CodeBuild", (1, 5), _FIVE, _CODEBUILD),
    _type("Test/CodeBuild", (1, 5), _FIVE, _CODEBUILD),
    _type(
        "Build/ECRBuildAndPublish",
        _ONE,
        _NONE,
        "ECRRepositoryName* DockerFilePath ImageTags RegistryType",
        v2=True,
    ),
    _type(
        "Compute/Commands",
        (0, 10),
        _MAYBE,
        "EnvironmentType ComputeType VpcId Subnets SecurityGroupIds",
        v2=True,
    ),
    _type(
        "Test/DeviceFarm",
        _ONE,
        _NONE,
        "AppType* ProjectId* App* AppiumVersion DevicePoolArn* TestType* Test "
        "TestSpec RadioBluetoothEnabled RadioWifiEnabled RadioNfcEnabled RadioGpsEnabled "
        "RecordAppPerformanceData RecordVideo FuzzEventCount FuzzEventThrottle "
        "FuzzRandomizerSeed CustomHostMachineArtifacts CustomDeviceArtifacts "
        "UnmeteredDevicesOnly JobTimeoutMinutes Latitude Longitude",
    ),
    _type("Deploy/CodeDeploy", _ONE, _NONE, "ApplicationName* DeploymentGroupName*"),
    _type(
        "Deploy/CodeDeployToECS",
        (1, 5),
        _NONE,
        "ApplicationName* DeploymentGroupName* TaskDefinitionTemplateArtifact* "
        "AppSpecTemplateArtifact* TaskDefinitionTemplatePath AppSpecTemplatePath "
        f"{_IMAGES}",
    ),
    _type(
        "Deploy/ECS",
        _ONE,
        _NONE,
        "ClusterName* ServiceName* FileName DeploymentTimeout",
    ),
    _type(
        "Deploy/EKS",
        _ONE,
        _NONE,
        "ClusterName* HelmReleaseName HelmChartLocation HelmValuesFiles "
        "ManifestFiles Namespace Subnets SecurityGroupIds",
        v2=True,
    ),
    _type(
        "Deploy/EC2",
        _ONE,
        _NONE,
        "InstanceTagKey* InstanceTagValue InstanceType* TargetDirectory DeploySpec "
        "PreScript PostScript MaxBatch MaxError TargetGroupNameList",
        v2=True,
    ),
    _type(
        "Deploy/Lambda",
        _MAYBE,
        _NONE,
        "FunctionName* FunctionAlias PublishedTargetVersion DeployStrategy Alarms",
        v2=True,
    ),
    _type(
        "Deploy/CloudFormation",
        (0, 10),
        _MAYBE,
        "ActionMode* StackName* ChangeSetName TemplatePath TemplateConfiguration "
        "Capabilities RoleArn ParameterOverrides OutputFileName",
    ),
    _type(
        "Deploy/CloudFormationStackSet",
        (1, 3),
        _NONE,
        "StackSetName* TemplatePath* Description Parameters Capabilities "
        "PermissionModel AdministrationRoleArn ExecutionRoleName "
        f"OrganizationsAutoDeployment DeploymentTargets Regions {_STACK_SET}",
    ),
    _type(
        "Deploy/CloudFormationStackInstances",
        (0, 2),
        _NONE,
        f"StackSetName* Regions* DeploymentTargets ParameterOverrides {_STACK_SET}",
    ),
    _type(
        "Deploy/S3",
        _ONE,
        _NONE,
        "BucketName* Extract* ObjectKey KMSEncryptionKeyARN CannedACL CacheControl",
    ),
    _type("Deploy/ElasticBeanstalk", _ONE, _NONE, "ApplicationName* EnvironmentName*"),
    _type(
        "Deploy/AppConfig",
        _ONE,
        _NONE,
        "Application* Environment* ConfigurationProfile* "
        "InputArtifactConfigurationPath* DeploymentStrategy",
    ),
    _type(
        "Deploy/ServiceCatalog",
        _ONE,
        _NONE,
        "ProductId* TemplateFilePath ProductVersionName ProductType "
        "ProductVersionDescription ConfigurationFilePath",
    ),
    _type("Deploy/OpsWorks", _ONE, _NONE, "Stack* App* Layer", ended=True),
    _type(
        "Deploy/AlexaSkillsKit",
        (1, 2),
        _NONE,
        "ClientId* ClientSecret* RefreshToken* SkillId*",
        owner="ThirdParty",
        ended=True,
    ),
    _type("Invoke/Lambda", _FIVE, _FIVE, "FunctionName* UserParameters"),
    _type(
        "Invoke/StepFunctions",
        _MAYBE,
        _MAYBE,
        "StateMachineArn* ExecutionNamePrefix InputType Input",
    ),
    _type(
        "Invoke/CodePipeline",
        _NONE,
        _NONE,
        "PipelineName* SourceRevisions Variables",
        v2=True,
    ),
    _type(
        "Invoke/InspectorScan",
        _MAYBE,
        _MAYBE,
        "InspectorRunMode* ECRRepositoryName ImageTag CriticalThreshold HighThreshold "
        "MediumThreshold LowThreshold",
        v2=True,
    ),
    _type(
        "Approval/Manual",
        _NONE,
        _NONE,
        "CustomData ExternalEntityLink NotificationArn",
    ),
)

RULES: tuple[ActionType, ...] = (
    _type("Rule/CloudWatchAlarm", _NONE, _NONE, "AlarmName* AlarmStates WaitTime"),
    _type(
        "Rule/CodeBuild",
        (0, 5),
        _NONE,
        "ProjectName* PrimarySource BatchEnabled CombineArtifacts EnvironmentVariables",
    ),
    _type("Rule/Commands", (0, 10), _NONE, ""),
    _type("Rule/DeploymentWindow", _NONE, _NONE, "Cron* TimeZone"),
    _type("Rule/LambdaInvoke", _FIVE, _NONE, "FunctionName* UserParameters"),
    _type("Rule/VariableCheck", _NONE, _NONE, "Variable* Value* Operator*"),
)

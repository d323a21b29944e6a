"""For each change that we ask AWS for there is a test in which its answer is lost."""

from collections.abc import Iterator
from pathlib import Path

from aws_calls import asked_for

TESTS = Path(__file__).parents[1]
READS = ("BatchGet", "Describe", "Get", "Head", "List", "ScanSbom")
BY_PATH = {
    # REST has no names on the wire: what the tests lose there is said by its path.
    "AbortMultipartUpload": "nothing is left when it is repeated, or it is refused",
    "CompleteMultipartUpload": "test_artifacts_in_s3.py: loses the put of a pack",
    "CreateMultipartUpload": "a second upload is empty, and ended by a rule",
    "CreateHostedConfigurationVersion": "test_appconfig.py",
    "DeleteObject": "test_s3_deploy.py",
    "InvokeFunction": "test_lambda.py: at most once",
    "PublishVersion": "test_lambda_alias.py",
    "PutObject": "test_s3_deploy.py, test_artifacts_in_s3.py",
    "StartDeployment": "test_appconfig.py",
    "UpdateAlias": "test_lambda_alias.py",
    "UpdateFunctionCode": "test_lambda_alias.py",
    "UploadPart": "a part is replaced by itself",
}
RARE = {
    "CancelUpdateStack": "refused when the update is cancelled already",
    "ContinueUpdateRollback": "refused while the rollback goes on",
    "DeregisterTargets": "succeeds at AWS for what is not there; moto refuses it",
    "SetStackPolicy": "replaces the policy by itself",
}
"""Changes that repeat without any effect, and that no emulator brings about."""


def losing() -> Iterator[str]:
    """The tests in which answers of AWS get lost."""
    for file in [*TESTS.glob("integration/aws/*.py"), *TESTS.glob("faults/*.py")]:
        text = file.read_text()
        if "wire.cuts" in text or "wire.each" in text:
            yield text


def test_the_answer_of_each_change_is_lost_in_a_test() -> None:
    texts = [*losing()]

    missing = {
        f"{operation} of {file}"
        for file, operation in asked_for()
        if not operation.startswith(READS)
        and operation not in BY_PATH.keys() | RARE.keys()
        and not any(f'"{operation}"' in text for text in texts)
    }

    assert missing == set()

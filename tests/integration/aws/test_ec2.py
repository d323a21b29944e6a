"""Deployments to EC2: scripts that really run, sent by a double of Systems Manager.

moto has the instances and target groups; its targets are healthy or unused at once.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws import Wire, json_service
from ssm_double import SystemsManager

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.tasks.deploy import ec2
from prefect_delivery.tasks.deploy.ec2 import deploy_to_ec2

Making = Callable[[dict[str, str]], Artifact]
Clients = Callable[[str], Any]
SPEC = """
version: 0.1
files:
  - source: /site/
    destination: {0}/site
  - source: main.txt
    destination: {0}
scripts:
  BeforeDeploy: [{{location: hooks/before.sh, timeout: 20}}]
  AfterDeploy: [{{location: hooks/after.sh}}]
"""
APPSPEC = """
version: 0.0
os: linux
files: [{{source: main.txt, destination: {0}}}]
hooks:
  BeforeInstall: [{{location: hooks/before.sh}}]
  ApplicationStart: [{{location: hooks/after.sh}}]
"""


@pytest.fixture
def ssm(
    bucket: str, moto: str, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SystemsManager]:
    made = SystemsManager(tmp_path / "instances", moto)
    monkeypatch.setattr(ec2, "INTERVAL", 0.01)
    with json_service("ssm", made.operations) as double, wire.to(double) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", address)
        yield made


@pytest.fixture
def instances(ssm: SystemsManager, client: Clients) -> list[str]:
    """Two instances with a tag, and one without."""
    made = client("ec2").run_instances(ImageId="ami-1", MinCount=3, MaxCount=3)
    found = [each["InstanceId"] for each in made["Instances"]]
    client("ec2").create_tags(
        Resources=found[:2], Tags=[{"Key": "app", "Value": "shop"}]
    )
    return sorted(found[:2])


@pytest.fixture
def source(artifact: Making, tmp_path: Path) -> Artifact:
    said, place = tmp_path / "said", tmp_path / "target"
    return artifact(
        {
            "main.txt": "hello",
            "site/index.html": "page",
            "hooks/before.sh": f'#!/bin/sh\necho "before $INSTANCE" >> {said}\n'
            f'test ! -e {tmp_path}/"$INSTANCE.bad"\n',
            "hooks/after.sh": f"#!/bin/sh\ntest -f {place}/main.txt\n"
            f'echo "after $INSTANCE" >> {said}\n',
            "deployspec.yaml": SPEC.format(place),
            "appspec.yml": APPSPEC.format(place),
        }
    )


def deploy(source: Artifact, job: Job, folder: Path, **more: Any) -> Outputs:
    plain = {
        "target_directory": str(folder / "target"),
        "pre_script": "hooks/before.sh",
        "post_script": "hooks/after.sh",
    }
    given: dict[str, Any] = {
        "instance_tag_value": "shop",
        **({} if "deploy_spec" in more else plain),
        **more,
    }
    made: Outputs = deploy_to_ec2.fn(source, "app", "EC2", job=job, **given)
    return made


def both(instances: list[str]) -> list[str]:
    return [f"{what} {each}" for each in instances for what in ("before", "after")]


def test_instances_get_files_and_scripts_one_after_the_other(
    instances: list[str],
    ssm: SystemsManager,
    source: Artifact,
    job: Job,
    tmp_path: Path,
) -> None:
    made = deploy(source, job, tmp_path)

    assert made.summary == "2 instances have it"
    assert (tmp_path / "said").read_text().splitlines() == both(instances)
    assert (tmp_path / "target" / "site" / "index.html").read_text() == "page"
    sent = [each["asked"]["InstanceIds"] for each in ssm.commands.values()]
    assert sent == [[each] for each in instances]


@pytest.mark.parametrize("spec", ["deployspec.yaml", "appspec.yml"])
def test_a_file_says_what_goes_where(
    instances: list[str],
    ssm: SystemsManager,
    source: Artifact,
    job: Job,
    tmp_path: Path,
    spec: str,
) -> None:
    deploy(source, job, tmp_path, deploy_spec=spec, max_batch=5)

    assert len(ssm.commands) == 1
    assert (tmp_path / "said").read_text().splitlines() == both(instances)
    assert (tmp_path / "target" / "main.txt").read_text() == "hello"
    assert (tmp_path / "target" / "site").exists() == (spec == "deployspec.yaml")
    assert not (tmp_path / "target" / "hooks").exists()


def test_a_command_that_is_sent_twice_has_its_effect_once(
    instances: list[str], source: Artifact, job: Job, tmp_path: Path, wire: Wire
) -> None:
    wire.cuts += ["SendCommand"]

    deploy(source, job, tmp_path, max_batch=2)

    assert wire.times("SendCommand") == 2
    assert (tmp_path / "said").read_text().splitlines() == both(instances)


def test_a_retry_goes_on_where_an_instance_failed(
    instances: list[str], source: Artifact, job: Job, tmp_path: Path
) -> None:
    bad = tmp_path / f"{instances[1]}.bad"
    bad.touch()
    with pytest.raises(
        ActionFailed, match=f"1 of 2 instances failed, 0 may: {instances[1]}"
    ):
        deploy(source, job, tmp_path)
    assert deploy(source, job, tmp_path, max_error=1).summary == "1 instances have it"
    bad.unlink()
    (tmp_path / "said").unlink()

    deploy(source, job, tmp_path)

    assert (tmp_path / "said").read_text().splitlines() == both(instances[1:])


def test_instances_leave_their_target_groups_meanwhile(
    instances: list[str],
    source: Artifact,
    job: Job,
    tmp_path: Path,
    client: Clients,
    wire: Wire,
) -> None:
    vpc = client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    made = client("elbv2").create_target_group(
        Name="web", Protocol="HTTP", Port=80, VpcId=vpc
    )
    group = made["TargetGroups"][0]["TargetGroupArn"]
    client("elbv2").register_targets(
        TargetGroupArn=group, Targets=[{"Id": each} for each in instances]
    )
    (tmp_path / f"{instances[1]}.bad").touch()

    # moto refuses to deregister twice, which AWS does not.
    wire.cuts += ["RegisterTargets"]

    deploy(source, job, tmp_path, target_group_name_list="web", max_error=1)

    changes = [each for each in wire.seen if each.endswith("Targets")]
    assert changes == [
        "DeregisterTargets",
        *["RegisterTargets"] * 2,
        "DeregisterTargets",
    ]
    found = client("elbv2").describe_target_health(TargetGroupArn=group)
    health = found["TargetHealthDescriptions"]
    assert [each["Target"]["Id"] for each in health] == instances[:1]


def test_a_stopped_action_cancels_its_command_whatever_answer_is_lost(
    instances: list[str],
    ssm: SystemsManager,
    source: Artifact,
    job: Job,
    tmp_path: Path,
    wire: Wire,
) -> None:
    ssm.holds = True
    wire.cuts += ["CancelCommand"]
    job.cancel("somebody stopped it")

    with pytest.raises(ActionFailed, match="somebody stopped it"):
        deploy(source, job, tmp_path)

    assert wire.cuts == []
    assert [each["Status"] for each in ssm.commands.values()] == ["Cancelled"]


def test_managed_nodes_are_found_by_their_tag(
    ssm: SystemsManager, source: Artifact, job: Job, tmp_path: Path
) -> None:
    ssm.nodes = {"shop": ["mi-1"]}

    deploy_to_ec2.fn(
        source,
        "app",
        "SSM_MANAGED_NODE",
        instance_tag_value="shop",
        target_directory=str(tmp_path / "target"),
        job=job,
    )

    assert (tmp_path / "target" / "main.txt").read_text() == "hello"


def test_what_is_wrong_is_said(
    instances: list[str],
    ssm: SystemsManager,
    source: Artifact,
    artifact: Making,
    job: Job,
    tmp_path: Path,
) -> None:
    with pytest.raises(ActionFailed, match="0 instances have the tag app=other"):
        deploy(source, job, tmp_path, instance_tag_value="other")
    with pytest.raises(ActionFailed, match="either 'target_directory' or"):
        deploy(source, job, tmp_path, target_directory=None)
    wrong = artifact({"spec.yaml": "version: 0.1\nfiles: [{source: a}]\n"})
    with pytest.raises(ActionFailed, match=r"'spec\.yaml': files\.0\.destination"):
        deploy(wrong, job, tmp_path, deploy_spec="spec.yaml")
    with pytest.raises(ActionFailed, match="leads out of the artifact"):
        deploy(source, job, tmp_path, pre_script="../x.sh")
    assert ssm.commands == {}

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prefect_delivery.appspec.loader import load_appspec
from prefect_delivery.appspec.models import (
    Capacity,
    Copied,
    EcsAppspec,
    HostAppspec,
    LambdaAppspec,
    Network,
    Permission,
    Script,
)
from prefect_delivery.cli.checked import check_file
from prefect_delivery.errors import DefinitionError

HOSTS = """\
version: 0.0
os: linux
files:
  - source: /
    destination: /srv/shop
  - {source: etc/shop.conf, destination: /etc/shop}
file_exists_behavior: OVERWRITE
permissions:
  - object: /srv/shop
    pattern: "*.sh"
    except: [stop.sh]
    owner: shop
    group: shop
    mode: 0750
    acls: ["u:web:r"]
    context: {user: u, type: httpd_t, range: s0}
    type: [file]
hooks:
  ValidateService:
    - location: bin/check.sh
  ApplicationStop:
    - {location: bin/stop.sh, timeout: 20, runas: shop}
    - location: bin/gone.sh
  MyEvent: [{location: mine.sh}]
unknown: yes
"""
ECS = {
    "version": 0.0,
    "Resources": [
        {
            "TargetService": {
                "Type": "AWS::ECS::Service",
                "Properties": {
                    "TaskDefinition": "<TASK_DEFINITION>",
                    "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": "80"},
                    "PlatformVersion": "LATEST",
                    "NetworkConfiguration": {
                        "AwsvpcConfiguration": {
                            "Subnets": ["subnet-1"],
                            "SecurityGroups": ["sg-1"],
                            "AssignPublicIp": "ENABLED",
                        }
                    },
                    "CapacityProviderStrategy": [
                        {"CapacityProvider": "FARGATE", "Base": 1, "Weight": 2}
                    ],
                },
            }
        }
    ],
    "Hooks": [{"BeforeInstall": "one"}, {"AfterAllowTraffic": "two"}],
}
LAMBDA = """\
version: 0.0
resources:
  - shop:
      type: AWS::Lambda::Function
      properties: {name: shop, alias: live, currentVersion: 1, targetVersion: 2}
hooks:
  - BeforeAllowTraffic: check
"""


def test_an_appspec_of_hosts_is_read_whole() -> None:
    appspec = load_appspec(HOSTS, "appspec.yml")

    assert appspec == HostAppspec(
        os="linux",
        files=(
            Copied(source="/", destination="/srv/shop"),
            Copied(source="etc/shop.conf", destination="/etc/shop"),
        ),
        exists="OVERWRITE",
        permissions=(
            Permission(
                object="/srv/shop",
                pattern="*.sh",
                exclude=("stop.sh",),
                owner="shop",
                group="shop",
                mode="0750",
                acls=("u:web:r",),
                context={"user": "u", "type": "httpd_t", "range": "s0"},
                types=("file",),
            ),
        ),
        hooks={
            "ApplicationStop": (
                Script(location="bin/stop.sh", timeout=20, runas="shop"),
                Script(location="bin/gone.sh", timeout=3600),
            ),
            "ValidateService": (Script(location="bin/check.sh"),),
        },
        notes=("unknown key 'unknown'", "'MyEvent' is no lifecycle event"),
    )


@pytest.mark.parametrize("lower", [False, True])
def test_an_appspec_of_ecs_is_read_whole_in_both_cases(lower: bool) -> None:
    text = json.dumps(ECS)
    for key in ("Resources", "Hooks", "Type", "Properties", "TaskDefinition"):
        if lower:
            text = text.replace(f'"{key}"', f'"{key[0].lower()}{key[1:]}"')

    appspec = load_appspec(text, "appspec.json")

    assert appspec == EcsAppspec(
        task_definition="<TASK_DEFINITION>",
        container="web",
        port=80,
        platform_version="LATEST",
        network=Network(
            subnets=("subnet-1",), security_groups=("sg-1",), public_ip="ENABLED"
        ),
        capacity=(Capacity(provider="FARGATE", base=1, weight=2),),
        hooks={"BeforeInstall": "one", "AfterAllowTraffic": "two"},
    )


def test_an_appspec_of_lambda_is_read_whole() -> None:
    assert load_appspec(LAMBDA, "appspec.yml") == LambdaAppspec(
        function="shop",
        alias="live",
        current="1",
        target="2",
        hooks={"BeforeAllowTraffic": "check"},
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_tab_at_the_end_of_a_line_is_space(end: str) -> None:
    appspec = load_appspec(f"version: 0.0{end}os: linux \t {end}", "appspec.yml")

    assert appspec == HostAppspec(os="linux")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 0.0", "version: 1.0", ":1:10: 'version' must be 0.0, not '1.0'"),
        ("os: linux", "os: linx", ":2:5: 'os' must be 'linux' or 'windows'"),
        ("os: linux\n", "", ":1:1: an appspec of hosts needs 'os'"),
        ("source: /\n", "source: ../x\n", ":4:13: '../x' leads out of the bundle"),
        ("/srv/shop\n  - {", "srv\n  - {", ":5:18: 'destination' must begin with '/'"),
        ("    destination: /srv/shop\n", "", ":4:5: 'destination' is needed"),
        ("OVERWRITE", "REPLACE", ":7:23: 'file_exists_behavior' must be"),
        ("mode: 0750", "mode: u+x", ":14:11: 'mode' must be octal digits"),
        ("type: [file]", "type: [link]", "'permissions/0/type' must be"),
        ("timeout: 20", "timeout: 3601", "a number from 1 to 3600, not '3601'"),
        (
            "- location: bin/gone.sh",
            "- {location: b, timeout: 3600}",
            ":21:3: the scripts of 'ApplicationStop' may take 3620 s together",
        ),
        ("ValidateService", "Install", ":19:3: 'Install' takes no scripts"),
        ("bin/check.sh", "a/../../b", ":20:17: 'a/../../b' leads out of the bundle"),
        ("object: /srv", "object: srv", ":9:13: 'object' must begin with '/'"),
        ("os: linux", "os: windows", ":8:1: 'permissions' are for linux"),
        ("unknown: yes", "OS: linux", "'os' and 'OS' are the same"),
    ],
)
def test_what_is_wrong_for_hosts_is_shown_at_its_place(
    old: str, new: str, message: str
) -> None:
    assert old in HOSTS

    with pytest.raises(DefinitionError) as caught:
        load_appspec(HOSTS.replace(old, new), "appspec.yml")

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Lambda::Function", "S3::Bucket", ":4:13: 'resources/0/shop/Type' must be"),
        ("alias: live, ", "", "'alias' is needed in 'properties'"),
        ("BeforeAllowTraffic", "BeforeInstall", ":7:5: there is no event"),
        (": check", ":", ":7:5: 'BeforeAllowTraffic' needs the name of a function"),
        (
            "- BeforeAllow",
            "- {AfterAllowTraffic: x, q: y}\n  - BeforeAllow",
            "event 'q'",
        ),
        ("  - shop:", "  - other: {}\n    shop:", "an appspec has one resource"),
    ],
)
def test_what_is_wrong_for_services_is_shown_at_its_place(
    old: str, new: str, message: str
) -> None:
    assert old in LAMBDA

    with pytest.raises(DefinitionError) as caught:
        load_appspec(LAMBDA.replace(old, new), "appspec.yml")

    assert message.lower() in str(caught.value).lower()


def test_validate_finds_what_is_wrong(tmp_path: Path) -> None:
    good, bad = tmp_path / "appspec.yml", tmp_path / "appspec.json"
    good.write_text(HOSTS)
    bad.write_text(json.dumps({**ECS, "Resources": []}))

    assert check_file(good).ok
    assert "an appspec has one resource, not 0" in check_file(bad).problems[0].message


@given(st.text() | st.lists(st.sampled_from(HOSTS.splitlines())).map("\n".join))
@example("[]")
@example("hooks: {ApplicationStop: [x, [], {location: {}}]}\nversion: 0.0")
@example("version: 0.0\nResources: [{a: {Type: [], Properties: 3}}]")
def test_any_text_is_an_appspec_or_wrong(text: str) -> None:
    try:
        load_appspec(text, "appspec.yml")
    except DefinitionError as error:
        assert error.problems

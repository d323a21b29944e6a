"""Stacks that ministack makes, changes and rolls back, with their resources."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aws import Wire
from stack_shop import StackShop

from prefect_delivery.actions import ActionFailed, Artifact, Job, Outputs
from prefect_delivery.blocks import Hooks
from prefect_delivery.errors import LeaseLost
from prefect_delivery.tasks.deploy.cloudformation import deploy_to_cloudformation
from prefect_delivery.tasks.deploy.environment import deploy

FAILING = Hooks(after=["false"])


@pytest.fixture
def shop(
    aws_identity: None,
    ministack: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> StackShop:
    monkeypatch.setattr("prefect_delivery.actions.PAUSES", (0.01, 0.01, 0.01))
    return StackShop(tmp_path, ministack, f"shop-{uuid4().hex[:8]}")


def act(
    shop: StackShop, mode: Any, artifact: Artifact | None = None, **more: Any
) -> Outputs:
    """Carry out the action on the artifact `app`, as a pipeline does."""
    if artifact is not None:
        more.setdefault("template_path", "app::template.yaml")
    made: Outputs = deploy_to_cloudformation.fn(
        mode,
        shop.name,
        {"app": artifact} if artifact else {},
        job=Job(log=print),
        **more,
    )
    return made


def test_a_stack_is_made_and_changed(shop: StackShop) -> None:
    first = act(shop, "CREATE_UPDATE", shop.artifact("one"))
    assert shop.says() == "none one"

    made = act(
        shop,
        "CREATE_UPDATE",
        shop.artifact("two"),
        template_configuration="app::values.json",
        output_file_name="said/outputs.json",
        outputs={"out": ["**"]},
    )

    assert shop.says() == made.variables["Said"] == "hello-two two"
    assert made.variables["previous"] == first.variables["release"]
    made.artifacts["out"].unpack(shop.folder / "out")
    said = json.loads((shop.folder / "out/said/outputs.json").read_text())
    assert said == {"Said": "hello-two two"}


def test_what_cloudformation_cannot_make_leaves_the_previous_template(
    shop: StackShop,
) -> None:
    good = act(shop, "CREATE_UPDATE", shop.artifact("one")).variables["release"]

    with pytest.raises(ActionFailed, match=f"runs release .{good[:12]}.*Twice"):
        act(shop, "CREATE_UPDATE", shop.artifact("two", broken=True))

    assert shop.says() == "none one"
    assert shop.target().observe() == good


def test_a_failed_check_brings_back_template_and_parameters(shop: StackShop) -> None:
    job = Job(log=print)
    good = deploy.fn(shop.artifact("one"), shop.target(), job=job).variables["release"]

    with pytest.raises(ActionFailed):
        deploy.fn(shop.artifact("two"), shop.target(hooks=FAILING), job=job)

    assert shop.says() == "hello-one one"
    assert shop.target().observe() == good


def test_a_failed_first_release_leaves_no_stack(shop: StackShop) -> None:
    with pytest.raises(ActionFailed, match="Twice"):
        act(shop, "CREATE_UPDATE", shop.artifact("one", broken=True))
    assert shop.status() == "gone"

    with pytest.raises(ActionFailed):
        deploy.fn(shop.artifact("two"), shop.target(hooks=FAILING), job=Job(log=print))

    assert (shop.status(), shop.says()) == ("gone", None)


def test_a_failed_first_release_leaves_a_stack_as_somebody_made_it(
    shop: StackShop,
) -> None:
    shop.make_by_hand()

    with pytest.raises(ActionFailed):
        deploy.fn(shop.artifact("one"), shop.target(hooks=FAILING), job=Job(log=print))

    assert shop.says() == "none by-hand"
    assert shop.target().observe() is None


def test_what_somebody_changes_by_hand_is_noticed(shop: StackShop) -> None:
    act(shop, "CREATE_UPDATE", shop.artifact("one"))

    shop.client.update_stack(StackName=shop.name, TemplateBody=shop.template("by-hand"))
    shop.client.get_waiter("stack_update_complete").wait(StackName=shop.name)

    assert shop.target().observe() is None


def test_a_release_that_changes_nothing_is_the_one_that_serves(shop: StackShop) -> None:
    target = shop.target()
    first, same = shop.release("one"), shop.release("one", revision="again")

    for fence, release in enumerate((first, same), 1):
        target.prepare(release, fence)
        target.shift(release, 100, fence)
        target.commit(release, fence)

    assert shop.executions() == 1
    assert target.observe() == same.digest


def test_change_sets_are_made_and_executed(shop: StackShop) -> None:
    with pytest.raises(ActionFailed, match="has no change set 'next'"):
        act(shop, "CHANGE_SET_EXECUTE", change_set_name="next")

    act(shop, "CHANGE_SET_REPLACE", shop.artifact("one"), change_set_name="next")
    act(shop, "CHANGE_SET_REPLACE", shop.artifact("two"), change_set_name="next")
    assert shop.says() is None
    made = act(shop, "CHANGE_SET_EXECUTE", change_set_name="next")
    assert shop.says() == made.variables["Said"] == "none two"

    act(shop, "CHANGE_SET_REPLACE", shop.artifact("two"), change_set_name="next")
    assert (
        act(shop, "CHANGE_SET_EXECUTE", change_set_name="next").variables["Said"]
        == "none two"
    )
    assert shop.executions() == 1
    assert shop.target().observe() == made.variables["release"]


def test_a_stack_that_failed_is_replaced_where_that_is_asked_for(
    shop: StackShop,
) -> None:
    body = shop.template("by-hand", broken=True)
    shop.client.create_stack(StackName=shop.name, TemplateBody=body)
    with pytest.raises(Exception, match="Waiter StackCreateComplete failed"):
        shop.client.get_waiter("stack_create_complete").wait(StackName=shop.name)

    with pytest.raises(ActionFailed, match="ROLLBACK_COMPLETE and cannot be updated"):
        act(shop, "CREATE_UPDATE", shop.artifact("one"))
    act(shop, "REPLACE_ON_FAILURE", shop.artifact("one"))

    assert shop.says() == "none one"


def test_a_stack_is_deleted_and_may_be_gone(shop: StackShop) -> None:
    act(shop, "CREATE_UPDATE", shop.artifact("one"))

    act(shop, "DELETE_ONLY")
    act(shop, "DELETE_ONLY")

    assert (shop.status(), shop.says()) == ("gone", None)


def test_parameters_may_refer_to_artifacts(
    shop: StackShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.of("s3").create_bucket(
        Bucket="bundles", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    app = shop.artifact("one")
    overrides = {"Greeting": {"Fn::GetArtifactAtt": ["app", "ObjectKey"]}}
    act(shop, "CREATE_UPDATE", app, bucket="bundles", parameter_overrides=overrides)
    key = f"prefect-delivery/sources/{app.digest}.zip"
    assert shop.says() == f"{key} one"
    assert shop.of("s3").head_object(Bucket="bundles", Key=key)["ContentLength"]

    nested = {"Greeting": {"Fn::GetParam": ["app", "values.json", "Parameters"]}}
    act(shop, "CREATE_UPDATE", app, parameter_overrides=json.dumps(nested))
    assert shop.says() == '{"Greeting": "hello-one"} one'


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"template_path": "app::none.yaml"}, "no file 'none.yaml'"),
        ({"template_path": "lib::template.yaml"}, "'lib' is none of the inputs"),
        ({"template_path": "app::../../../etc/passwd"}, "no file"),
        ({"parameter_overrides": "{"}, "parameter_overrides is no JSON: line 1"),
        ({"parameter_overrides": {"A": {"Fn::Sub": "x"}}}, "parameter A: neither"),
        ({"template_configuration": "app::template.yaml"}, "template.yaml is no JSON"),
        ({"template_path": None}, "CREATE_UPDATE needs template_path"),
        ({"outputs": {"out": ["**"]}}, "needs output_file_name"),
    ],
)
def test_what_is_wrong_is_said_before_anything_changes(
    shop: StackShop, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ActionFailed, match=said):
        act(shop, "CREATE_UPDATE", shop.artifact("one"), **more)
    assert shop.status() == "gone"


def test_large_templates_go_through_s3(shop: StackShop) -> None:
    shop.of("s3").create_bucket(
        Bucket="templates",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )
    folder = shop.folder / "large"
    folder.mkdir()
    text = shop.template("one") + "# much\n" * 10_000
    (folder / "template.yaml").write_text(text)

    act(shop, "CREATE_UPDATE", Artifact.of(folder), bucket="templates")

    assert shop.says() == "none one"


def test_an_older_lease_changes_nothing(shop: StackShop) -> None:
    target, release = shop.target(), shop.release("one")
    target.prepare(release, 7)

    for verb in (target.prepare, target.commit, target.discard):
        with pytest.raises(LeaseLost, match="lease 6 is older"):
            verb(release, 6)

    assert shop.status() == "REVIEW_IN_PROGRESS"


def test_answers_that_are_lost_after_the_effect_change_nothing_twice(
    shop: StackShop, ministack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    with wire.to(ministack) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        wire.cuts += ["CreateChangeSet", "ExecuteChangeSet", "CreateChangeSet"]
        made = act(shop, "CREATE_UPDATE", shop.artifact("one"))
        assert wire.cuts == []
        assert shop.target().observe() == made.variables["release"]
        assert shop.executions() == 1

        wire.cuts += ["DeleteStack"]
        act(shop, "DELETE_ONLY")
        assert (wire.cuts, shop.status()) == ([], "gone")


def test_whatever_answer_is_lost_the_template_of_before_comes_back(
    shop: StackShop, ministack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    wire.each = True
    with wire.to(ministack) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        made = act(shop, "CREATE_UPDATE", shop.artifact("one"))
        with pytest.raises(ActionFailed):
            act(shop, "CREATE_UPDATE", shop.artifact("two", broken=True))
        serving = shop.target().observe()

    assert serving == made.variables["release"]
    assert shop.says() == "none one"
    assert wire.lost >= {"CreateChangeSet", "DeleteChangeSet", "ExecuteChangeSet"}

"""The normal form: what may be left out is written out."""

from prefect_delivery.definition import Pipeline, load
from prefect_delivery.definition.catalogue import Catalogue


def test_needs_inputs_outputs_and_namespaces_are_written_out(
    shop: str, catalogue: Catalogue
) -> None:
    stages = load(shop, catalogue=catalogue).stages

    assert [stage.needs for stage in stages.values()] == [[], ["Source"], ["Build"]]
    assert stages["Source"].actions["app"].outputs == {"app": []}
    assert stages["Source"].actions["app"].namespace == "app"
    assert stages["Build"].actions["package"].inputs == {"source": "app"}
    assert stages["Production"].actions["deploy"].inputs == {"artifact": "site"}
    assert stages["Production"].actions["deploy"].outputs == {}


def test_the_snapshot_is_the_same_pipeline(shop: str, catalogue: Catalogue) -> None:
    pipeline = load(shop, catalogue=catalogue)

    again = Pipeline.model_validate(pipeline.snapshot())

    assert again == pipeline
    assert again.digest == pipeline.digest


def test_two_ways_to_say_the_same_share_a_digest(
    shop: str, catalogue: Catalogue
) -> None:
    longer = shop.replace(
        "  Production:\n", "  Production:\n    needs: [Build]\n"
    ).replace("inputs: site", "inputs: {artifact: site}, run_order: 1")

    assert (
        load(longer, catalogue=catalogue).digest
        == load(shop, catalogue=catalogue).digest
    )


def test_another_command_is_another_digest(shop: str, catalogue: Catalogue) -> None:
    other = shop.replace("make dist", "make disk")

    assert (
        load(other, catalogue=catalogue).digest
        != load(shop, catalogue=catalogue).digest
    )


def test_one_name_for_a_parameter_of_many_becomes_a_list(
    shop: str, catalogue: Catalogue
) -> None:
    text = shop.replace(
        "outputs: {site", "inputs: {source: app, extra: app}\n        outputs: {site"
    )

    inputs = load(text, catalogue=catalogue).stages["Build"].actions["package"].inputs

    assert inputs == {"source": "app", "extra": ["app"]}


def test_a_name_that_no_artifact_may_have_is_adapted(
    shop: str, catalogue: Catalogue
) -> None:
    text = shop.replace("app: {uses", "app.v1: {uses").replace("#{app.", "#{app-v1.")

    pipeline = load(text, catalogue=catalogue)

    assert pipeline.stages["Source"].actions["app.v1"].outputs == {"app-v1": []}
    assert Pipeline.model_validate(pipeline.snapshot()) == pipeline


def test_equal_action_names_in_two_stages_are_fine(
    shop: str, catalogue: Catalogue
) -> None:
    text = shop.replace(
        "  Production:",
        "  Staging:\n    actions:\n"
        "      deploy: {uses: deploy/environment, inputs: site,"
        " with: {environment: staging}}\n  Production:",
    )

    assert list(load(text, catalogue=catalogue).stages) == [
        "Source",
        "Build",
        "Staging",
        "Production",
    ]


def test_json_reads_as_well(shop: str, catalogue: Catalogue) -> None:
    pipeline = load(shop, catalogue=catalogue)
    text = pipeline.model_dump_json(by_alias=True, exclude_defaults=True)

    assert load(text, catalogue=catalogue) == pipeline

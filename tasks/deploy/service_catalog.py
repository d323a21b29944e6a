"""Add a version to a product of AWS Service Catalog."""

from typing import Any, Final

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Job,
    Minutes,
    Outputs,
    action,
)
from prefect_delivery.blocks.aws_session import (
    aws_session,
    patient,
    start_or_attach,
    token_of,
)
from prefect_delivery.tasks.deploy.artifact_files import ArtifactFiles, artifact_files

INTERVAL: Final = 5.0
"""Seconds between two looks at a version."""
_KEYS: Final = {
    "ProductVersionName": "name",
    "ProductVersionDescription": "description",
    "ProductType": "kind",
}


@action(
    "deploy/service-catalog",
    permissions=(
        "cloudformation:ValidateTemplate",
        "s3:GetObject",
        "s3:PutObject",
        "servicecatalog:CreateProvisioningArtifact",
        "servicecatalog:DescribeProvisioningArtifact",
    ),
    variables={"ProvisioningArtifactId": "id of the product's new version"},
)
def deploy_to_service_catalog(
    artifact: Artifact,
    product_id: str,
    *,
    template_file_path: str | None = None,
    product_version_name: str | None = None,
    product_type: str = "CLOUD_FORMATION_TEMPLATE",
    product_version_description: str = "",
    configuration_file_path: str | None = None,
    bucket: str | None = None,
    credentials: str | None = None,
    role_arn: str | None = None,
    region: str | None = None,
    timeout: Minutes = 60,
    job: Job = Job(),
) -> Outputs:
    """Make a template a version of a product, once, and wait until it is available.

    What is provisioned from the product stays on its version, so nothing that runs is
    changed.

    Args:
        artifact: Has the template, and the configuration file if there is one.
        product_id: Id of the product, which exists.
        template_file_path: Path of the template in the artifact.
        product_version_name: Name of the version.
        product_type: Kind of the product.
        product_version_description: What people read about the version.
        configuration_file_path: JSON file in the artifact with `ProductVersionName`,
            `ProductVersionDescription`, `ProductType` and `Properties.TemplateFilePath`,
            instead of the keys above.
        bucket: S3 bucket for the template. By default `PREFECT_DELIVERY_AWS_BUCKET`.
        credentials: Name of an AwsCredentials block; by default the worker's own.
        role_arn: Role to take on, in this or another account.
        region: Region of the product.
        timeout: Minutes until the action fails.

    Raises:
        ActionFailed: Service Catalog refuses the template.

    Source: CodePipeline user guide, "AWS Service Catalog deploy action reference".
    """
    said: dict[str, Any] = {
        "template": template_file_path,
        "name": product_version_name,
        "kind": product_type,
        "description": product_version_description,
    }
    with artifact_files({"artifact": artifact}, job) as files:
        if configuration_file_path:
            said |= _configured(files, configuration_file_path)
        if not said["template"] or not said["name"]:
            raise ActionFailed(
                "the version needs a template and a name",
                hint="give template_file_path and product_version_name, or"
                " configuration_file_path",
            )
        template = files.text(str(said["template"]).lstrip("/"))
    with aws_session(credentials, role_arn, region) as aws:
        place = aws.bucket(bucket)
        token = token_of(job, "service-catalog")
        key = f"prefect-delivery/products/{artifact.digest}/{said['template']}"
        aws.client("s3").put_object(Bucket=place, Key=key, Body=template.encode())
        client = aws.client("servicecatalog")
        version = start_or_attach(
            job,
            lambda: str(
                client.create_provisioning_artifact(
                    ProductId=product_id,
                    IdempotencyToken=token,
                    Parameters={
                        "Name": said["name"],
                        "Description": said["description"],
                        "Type": said["kind"],
                        "Info": {"LoadTemplateFromURL": aws.object_url(place, key)},
                    },
                )["ProvisioningArtifactDetail"]["Id"]
            ),
        )

        def ended() -> str | None:
            status: str = client.describe_provisioning_artifact(
                ProductId=product_id, ProvisioningArtifactId=version
            )["Status"]
            return None if status == "CREATING" else status

        found = job.poll(patient(job, ended), timeout=timeout, interval=INTERVAL)
    if found != "AVAILABLE":
        raise ActionFailed(f"version '{said['name']}' of {product_id} is {found}")
    return Outputs(
        variables={"ProvisioningArtifactId": version},
        summary=f"{product_id} has version {said['name']}",
    )


def _configured(files: ArtifactFiles, path: str) -> dict[str, str]:
    found = files.json(path)
    if not isinstance(found, dict):
        raise ActionFailed(f"'{path}' must be a JSON object")
    said = {ours: str(found[key]) for key, ours in _KEYS.items() if key in found}
    properties = found.get("Properties")
    if isinstance(properties, dict) and "TemplateFilePath" in properties:
        said["template"] = str(properties["TemplateFilePath"])
    return said

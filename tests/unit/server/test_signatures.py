"""Signatures of AWS' clients: who has signed what, and when."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # no py.typed
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # no py.typed
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # no py.typed

from prefect_delivery.server.signatures import Signature

URL = "http://127.0.0.1:4280/delivery/codepipeline/"
SECRET = "secret-of-the-worker"
BODY = b'{"jobId": "1"}'


def signed(service: str = "codepipeline") -> dict[str, str]:
    """The headers of a request that botocore has signed, in small letters."""
    headers = {"X-Amz-Target": "CodePipeline_20150709.GetJobDetails"}
    request = AWSRequest("POST", URL, headers, BODY)
    SigV4Auth(Credentials("WORKERWORKERWORKER", SECRET), service, "eu-west-1").add_auth(
        request
    )
    return {
        "host": "127.0.0.1:4280",
        **{name.lower(): value for name, value in request.headers.items()},
    }


def is_good(
    headers: dict[str, str],
    *,
    secret: str = SECRET,
    body: bytes = BODY,
    now: datetime | None = None,
) -> bool:
    found = Signature("POST", URL, headers)
    return found.is_of(secret, body, service="codepipeline", now=now)


def test_what_botocore_has_signed_is_known() -> None:
    headers = signed()

    assert Signature("POST", URL, headers).access_key == "WORKERWORKERWORKER"
    assert is_good(headers)
    assert is_good({**headers, "user-agent": "anything"})


@pytest.mark.parametrize(
    "changed",
    [
        {"x-amz-target": "CodePipeline_20150709.PutJobSuccessResult"},
        {"host": "elsewhere.example"},
        {"x-amz-date": "20200101T000000Z"},
        {"authorization": ""},
        {"authorization": "Bearer x"},
    ],
)
def test_a_changed_header_is_noticed(changed: dict[str, str]) -> None:
    assert not is_good({**signed(), **changed})


def test_a_header_that_must_be_signed_is_signed() -> None:
    headers = signed()
    words = headers["authorization"].replace(";x-amz-target", "")

    assert not is_good({**headers, "authorization": words})


def test_another_secret_body_or_service_is_noticed() -> None:
    assert not is_good(signed(), secret="another-secret")
    assert not is_good(signed(), body=b"{}")
    assert not is_good(signed("s3"))


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time_is_refused(minutes: int) -> None:
    now = datetime.now(UTC)

    assert not is_good(signed(), now=now + timedelta(minutes=minutes))
    assert is_good(signed(), now=now + timedelta(minutes=minutes / 2))

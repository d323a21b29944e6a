"""Bring the digest of an image from a registry of containers."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from urllib.request import parse_http_list, parse_keqv_list

import httpx

from prefect_delivery.actions import (
    ActionFailed,
    Artifact,
    Configuration,
    Job,
    Outputs,
    Watched,
    action,
)
from prefect_delivery.changes import OBJECT
from prefect_delivery.definition.globs import matches_any
from prefect_delivery.secrets import fetch_secrets

__all__ = ["bring_image"]

FILE: Final = "imageDetail.json"
PATIENCE: Final = 10.0
"""Seconds that a registry has for an answer."""
PAGE: Final = 1000
MOST_PAGES: Final = 50
"""Lists of tags that are read; a registry could lead us on for ever."""
KINDS: Final = (
    "application/vnd.oci.image.index.v1+json,"
    "application/vnd.oci.image.manifest.v1+json,"
    "application/vnd.docker.distribution.manifest.list.v2+json,"
    "application/vnd.docker.distribution.manifest.v2+json"
)
"""What a tag may point to: an image, or a list of one for each platform."""
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_NAME: Final = re.compile(r"[a-z0-9]+([._/-]+[a-z0-9]+)*")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HUB: Final = ("docker.io", "registry-1.docker.io")


def _address(configuration: Configuration) -> str:
    image = _Image.named(configuration["image"])
    return f"image://{image.host}/{image.name}:{configuration.get('tag', 'latest')}"


def _look(configuration: Configuration) -> dict[str, str]:
    """The digest that the tag points to, or the last of the tags that fit."""
    with _registry(configuration) as registry:
        tag = registry.tag(configuration.get("tag", "latest"))
        digest = registry.digest(tag) if tag else None
    return {OBJECT: digest} if digest else {}


@action(
    "source/image",
    watched=Watched(address=_address, look=_look),
    variables={
        "tag": "Tag it was found by; empty when it is pinned to a digest.",
        "digest": "Digest of the image.",
        "image": "Address of the image, with its digest.",
    },
)
def bring_image(
    image: str,
    *,
    tag: str = "latest",
    credentials: str | None = None,
    username: str = "x-access-token",
    job: Job = Job(),
) -> Outputs:
    """Bring what a tag points to now, or the digest that the execution is pinned to.

    Args:
        image: Registry and name, such as `ghcr.io/ann/shop`; without a registry one of
            Docker Hub.
        tag: Tag, or a pattern such as `v1.*`, of whose tags the last counts: numbers in
            them are compared as numbers, so that `v1.10` comes after `v1.9`.
        credentials: Secret with a password or token: the name of a Secret block, or
            `env:NAME` for a variable of the worker.
        username: Sent with it.

    Returns:
        One artifact: the file `imageDetail.json`, which deployments to ECS read.

    Raises:
        ActionFailed: The registry cannot be read, or has no such image.

    Source: OCI Distribution Specification 1.1, "Pull" and "Content Discovery"; the token
    protocol of Docker's registry.
    """
    asked = {"image": image, "credentials": credentials, "username": username}
    with _registry(asked) as registry:
        found = "" if job.revision else registry.tag(tag)
        digest = None if found is None else registry.digest(job.revision or found)
        place = f"{registry.image.host}/{registry.image.name}"
    if digest is None:
        raise ActionFailed(f"{place} has no image {job.revision or tag}")
    address = f"{place}@{digest}"
    detail = {"ImageDigest": digest, "ImageURI": address, "Version": "1.0"}
    with job.workspace() as folder:
        (folder / FILE).write_text(json.dumps(detail, indent=2), encoding="utf-8")
        tree = Artifact.of(folder)
    return Outputs(
        artifacts={"source": tree},
        variables={"tag": found or "", "digest": digest, "image": address},
        summary=address,
    )


@dataclass(frozen=True)
class _Image:
    """Where an image is: the host of its registry, and its name there."""

    host: str
    name: str

    @classmethod
    def named(cls, image: str) -> "_Image":
        """Read it as Docker does: what has a dot or a port before a slash is a host."""
        host, _, name = image.partition("/")
        if not name or not (host == "localhost" or set(host) & {".", ":"}):
            name = image if "/" in image else f"library/{image}"
            host = _HUB[0]
        if not (_NAME.fullmatch(name) and _HOST.fullmatch(host)):
            raise ActionFailed(
                f"'{image}' is no name of an image",
                hint="write registry/name, and the tag into `tag`",
            )
        return cls(host, name)

    @property
    def url(self) -> str:
        """Of its registry. One on this machine may do without encryption."""
        host = _HUB[1] if self.host == _HUB[0] else self.host
        return f"{'http' if _is_here(host) else 'https'}://{host}"


@contextmanager
def _registry(configuration: Configuration) -> Iterator["_Registry"]:
    image = _Image.named(configuration["image"])
    reference = configuration.get("credentials")
    secret = fetch_secrets({"secret": reference})["secret"] if reference else None
    username = configuration.get("username", "x-access-token")
    login = httpx.BasicAuth(username, secret) if secret else None
    with httpx.Client(base_url=image.url, timeout=PATIENCE) as client:
        yield _Registry(client, image, login)


@dataclass
class _Registry:
    """One repository of a registry."""

    client: httpx.Client
    image: _Image
    login: httpx.BasicAuth | None

    def tag(self, wanted: str) -> str | None:
        """The tag itself, or of a pattern the last tag that fits; None without any."""
        if not set(wanted) & set("*?[{"):
            return wanted
        try:
            found = [tag for tag in self._tags() if matches_any(tag, [wanted])]
        except TimeoutError as error:
            raise ActionFailed(f"matching '{wanted}' takes too long") from error
        return max(found, key=_in_order, default=None)

    def digest(self, reference: str) -> str | None:
        """Digest of what a tag or digest names; None where there is nothing."""
        if not (_TAG.fullmatch(reference) or _DIGEST.fullmatch(reference)):
            raise ActionFailed(f"'{reference}' is neither a tag nor a digest")
        path = f"/v2/{self.image.name}/manifests/{reference}"
        answer = self._ask("HEAD", path)
        if answer is None:
            return None
        digest = answer.headers.get("docker-content-digest", "")
        if not digest:
            whole = self._ask("GET", path)
            if whole is None:
                return None
            digest = f"sha256:{hashlib.sha256(whole.content).hexdigest()}"
        if not _DIGEST.fullmatch(digest):
            raise ActionFailed(f"{self.image.host} gives '{digest[:80]}' for a digest")
        return str(digest)

    def _tags(self) -> Iterator[str]:
        path = f"/v2/{self.image.name}/tags/list?n={PAGE}"
        for _ in range(MOST_PAGES):
            answer = self._ask("GET", path)
            if answer is None:
                return
            yield from answer.json().get("tags") or []
            following = answer.links.get("next", {}).get("url")
            if not following:
                return
            # Only the place in the same list: never another host.
            path = f"{path.partition('?')[0]}?{urlsplit(following).query}"

    def _ask(self, method: str, path: str) -> httpx.Response | None:
        """An answer of the registry; None where it has no such thing."""
        try:
            answer = self._once(method, path)
            challenge = answer.headers.get("www-authenticate", "")
            if answer.status_code == httpx.codes.UNAUTHORIZED and challenge:
                self.client.headers["authorization"] = self._authorized(challenge)
                answer = self._once(method, path)
        except httpx.HTTPError as error:
            raise ActionFailed(
                f"the registry {self.image.host} cannot be read: {error}"
            ) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if not answer.is_success:
            raise ActionFailed(
                f"the registry {self.image.host} refuses {self.image.name}:"
                f" {answer.status_code} {answer.reason_phrase}",
                hint=None if self.login else "give 'credentials'",
            )
        return answer

    def _once(self, method: str, path: str) -> httpx.Response:
        return self.client.request(method, path, headers={"accept": KINDS})

    def _authorized(self, challenge: str) -> str:
        """What to say to a registry that wants to know who asks."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            if self.login is None:
                return ""
            request = next(self.login.auth_flow(httpx.Request("GET", self.image.url)))
            return request.headers["authorization"]
        asked = parse_keqv_list(parse_http_list(rest))
        realm = asked.get("realm", "")
        if scheme.lower() != "bearer" or not _is_safe(realm):
            raise ActionFailed(
                f"{self.image.host} sends us to '{realm}', which is not encrypted"
            )
        wanted = {"scope": f"repository:{self.image.name}:pull"}
        if "service" in asked:
            wanted["service"] = asked["service"]
        answer = httpx.get(realm, params=wanted, auth=self.login, timeout=PATIENCE)
        answer.raise_for_status()
        given = answer.json()
        return f"Bearer {given.get('token') or given.get('access_token')}"


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (
        parts.scheme == "http" and _is_here(parts.netloc)
    )


def _is_here(host: str) -> bool:
    return host.partition(":")[0] in {"localhost", "127.0.0.1"}


def _in_order(tag: str) -> list[tuple[int, int, str]]:
    """Sorts `v1.10` after `v1.9`."""
    return [
        (1, int(part), "") if part.isdecimal() else (0, 0, part)
        for part in re.split(r"(\d+)", tag)
        if part
    ]

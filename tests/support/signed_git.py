"""CodeCommit and CodeConnections: a real git server, whose front door is a double."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from aws import Handler, served
from git_http import GitServer


@contextmanager
def signed_door(git_server: GitServer, name: str = "signed") -> Iterator[str]:
    """The address of a door that lets in whoever signs; all lead to one repository."""

    class Door(Handler):
        def do_GET(self) -> None:
            body = self.body()
            path, _, query = self.path.partition("?")
            repository = path.partition("/info/")[0].partition("/git-upload")[0]
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            user, _, password = base64.b64decode(given).decode().partition(":")
            stamp = password.partition("Z")[0]
            right = password_for(self.headers["Host"], repository, stamp)
            if (user, password) != ("test", right):
                challenge = {"WWW-Authenticate": 'Basic realm="git"'}
                self.answer(401, b"", challenge)
                return
            rest = path.removeprefix(repository)
            kept = ("Content-Type", "Git-Protocol", "Content-Encoding")
            answer = httpx.request(
                self.command,
                f"{git_server.url(name)}{rest}?{query}",
                content=body,
                headers={k: self.headers[k] for k in kept if k in self.headers},
                trust_env=False,
            )
            kind = {"Content-Type": answer.headers["Content-Type"]}
            self.answer(answer.status_code, answer.content, kind)

        do_POST = do_GET

    with served(Door) as address:
        yield address


def password_for(host: str, path: str, stamp: str) -> str:
    """Signature Version 4, written out once more."""
    canonical = f"GIT\n{path}\n\nhost:{host}\n\nhost\n"
    scope = f"{stamp[:8]}/eu-west-1/codecommit/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = b"AWS4test"
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
    return f"{stamp}Z{hmac.new(key, text.encode(), 'sha256').hexdigest()}"

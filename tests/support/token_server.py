"""Gives out tokens for Docker's registry, as Docker Hub and GitHub do for theirs.

A double: those two cannot be reached. The registry that checks its tokens is real.
Source: distribution, "Token Authentication Specification".
"""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from image_registry import PASSWORD, USER

NAME = "tokens"


@contextmanager
def token_server(folder: Path) -> Iterator[dict[str, Any]]:
    """A server that knows one user; what a registry's configuration says of it."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    bundle = folder / "certificate.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    chain = certificate.public_bytes(serialization.Encoding.DER)
    right = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("authorization") == f"Basic {right}"
            wanted = parse_qs(urlsplit(self.path).query)
            kind, place, actions = wanted["scope"][0].split(":")
            access = {"type": kind, "name": place, "actions": actions.split(",")}
            body = json.dumps({"token": _token(key, chain, access)}).encode()
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(body if known else b"{}")

        def log_message(self, *said: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {
            "token": {
                "realm": f"http://127.0.0.1:{server.server_port}/token",
                "service": NAME,
                "issuer": NAME,
                "rootcertbundle": str(bundle),
            }
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _token(key: rsa.RSAPrivateKey, chain: bytes, access: dict[str, Any]) -> str:
    now = int(time.time())
    head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(chain).decode()]}
    said = {
        "iss": NAME,
        "sub": USER,
        "aud": NAME,
        "exp": now + 300,
        "nbf": now - 10,
        "iat": now,
        "jti": "1",
        "access": [access],
    }
    signed = b".".join(_part(json.dumps(part).encode()) for part in (head, said))
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return b".".join([signed, _part(signature)]).decode()


def _part(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")

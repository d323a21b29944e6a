"""What git's messages mean."""

import pytest

from prefect_delivery.errors import ActionFailed
from prefect_delivery.tasks.source.explain import Unadvertised, explain
from prefect_delivery.tasks.source.remote import Remote

REMOTE = Remote(
    url="https://example.org/app.git", transport="https", host="example.org"
)


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("fatal: Authentication failed for 'https://x'", "refused the credentials"),
        ("The requested URL returned error: 403", "refused the credentials"),
        ("git@x: Permission denied (publickey).", "refused the credentials"),
        ("fatal: could not read Username for 'https://x'", "asks for credentials"),
        ("The requested URL returned error: 302", "redirects to another address"),
        ("Host key verification failed.", "unknown or has changed"),
        ("fatal: detected dubious ownership in repository", "belongs to another user"),
        ("fatal: 'x' does not appear to be a git repository", "no repository at"),
        ("fatal: repository 'https://x/' not found", "no repository at"),
        ("ERROR: Repository not found.", "no repository at"),
        ("x/info/refs not valid: is this a git repository?", "not as a git server"),
        ("fatal: protocol error: bad line length character: <htm", "not as a git"),
        ("server certificate verification failed. CAfile: none", "not trusted"),
        ("gnutls_handshake() failed: An unexpected TLS packet", "does not speak TLS"),
        ("Could not resolve host: example.org", "cannot be reached"),
        ("ssh: connect to host x port 22: Connection timed out", "cannot be reached"),
        ("Operation too slow. Less than 1000 bytes/sec", "cannot be reached"),
        ("The requested URL returned error: 503", "cannot be reached"),
        ("fatal: the remote end hung up unexpectedly", "cannot be reached"),
        ("fatal: something that nobody has seen before", "git failed at"),
    ],
)
def test_a_message_of_git_becomes_a_sentence_that_keeps_its_words(
    line: str, meaning: str
) -> None:
    error = explain(["remote: counting", line, "  "], REMOTE)

    assert meaning in error.message
    assert REMOTE.url in error.message
    assert line.strip().removeprefix("fatal: ") in error.message


def test_a_commit_that_is_not_handed_out_is_told_apart() -> None:
    refused = explain(["fatal: remote error: upload-pack: not our ref 1234"], REMOTE)
    failed = explain(["fatal: Authentication failed"], REMOTE)

    assert isinstance(refused, Unadvertised)
    assert type(failed) is ActionFailed


def test_silence_is_reported_as_such() -> None:
    assert "it said nothing" in explain(["", " "], REMOTE).message

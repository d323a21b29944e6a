"""Which names are one person.

Two names are the same person when the part before `@` is the same, whatever the case:
`Ann`, `ann@shop.example` and `Ann Lee <ann+git@home.example>` are one. That errs on the
safe side: nobody counts twice, and nobody approves under a second address what they
wrote under the first.
"""

import re
import unicodedata
from collections.abc import Iterator

_ADDRESS = re.compile(r"<([^<>]*)>\s*$")
_TRAILER = re.compile(r"^co-authored-by:[ \t]*(.+)$", re.IGNORECASE | re.MULTILINE)
_NO_REPLY = "@users.noreply.github.com"


def writers(author: str, committer: str, message: str) -> Iterator[str]:
    """Keys of those who wrote a commit: author, committer and co-authors."""
    for name in (author, committer, *_TRAILER.findall(message)):
        if key := key_of(name):
            yield key


def key_of(person: str) -> str:
    """What tells a person from others; see the module on what that can do.

    Args:
        person: A login, an address, or `Name <address>`.
    """
    address = _ADDRESS.search(person)
    words = address[1] if address and address[1].strip() else person.split("<")[0]
    plain = unicodedata.normalize("NFKC", words).strip().casefold()
    name = plain.partition("@")[0]
    if plain.endswith(_NO_REPLY):
        return name.partition("+")[2] or name
    return name.partition("+")[0] or name


def is_meant(person: str, entry: str) -> bool:
    """Whether `person` is whom a list of people names.

    A login stands for the address that begins with it, but an address does not stand
    for a login: any domain could claim it.
    """
    one, other = (_plain(name) for name in (person, entry))
    return one == other or ("@" not in one and other.partition("@")[0] == one)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()

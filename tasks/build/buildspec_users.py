"""Lets the commands of a phase run as another user (`run-as`)."""

import os
import pwd
from pathlib import Path

from prefect_delivery.errors import ActionFailed


def require_users(users: set[str], image: str | None) -> None:
    """See that commands can run as these users.

    Raises:
        ActionFailed: We are not root, or this machine does not know a user.
    """
    if os.getuid():
        raise ActionFailed(
            "'run-as' needs a worker that runs as root",
            hint="run the worker as root, or leave 'run-as' out",
        )
    for user in users if image is None else ():
        try:
            pwd.getpwnam(user)
        except KeyError as error:
            raise ActionFailed(f"'run-as': there is no user '{user}' here") from error


def open_to_users(place: Path, image: str | None) -> None:
    """Let every user of this machine reach and change a workspace.

    Raises:
        ActionFailed: A folder above it lets nobody through.
    """
    for folder, names, files in os.walk(place):
        Path(folder).chmod(0o777)
        for name in (*names, *files):
            path = Path(folder) / name
            if not path.is_symlink() and path.is_file():
                mode = path.stat().st_mode
                path.chmod(mode | 0o666 | (0o111 if mode & 0o100 else 0))
    # Its own folders keep their content private: one may pass, not look.
    for above in [place.parent, *list(place.parents)[1:3]]:
        above.chmod(above.stat().st_mode | 0o011)
    for above in place.parents if image is None else ():
        if not above.stat().st_mode & 0o001:
            raise ActionFailed(
                f"'run-as': other users cannot reach '{above}'",
                hint=f"chmod o+x {above}, or set PREFECT_DELIVERY_HOME",
            )

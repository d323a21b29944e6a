"""Trees of files as zip archives."""

import shutil
import stat
import zipfile
from pathlib import Path
from typing import Final

_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)


def pack(tree: Path, archive: Path) -> None:
    """Write a tree as a zip archive: modes and links kept, dates not."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in sorted(tree.rglob("*")):
            name = path.relative_to(tree).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                name += "/"
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            if stat.S_ISLNK(mode):
                bundle.writestr(entry, str(path.readlink()))
            elif stat.S_ISDIR(mode):
                bundle.writestr(entry, "")
            else:
                entry.file_size = path.stat().st_size
                with path.open("rb") as source, bundle.open(entry, "w") as target:
                    shutil.copyfileobj(source, target)

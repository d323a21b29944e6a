"""The artifact store: trees of files by digest, in a folder of this machine.

Everything is written under a temporary name, forced to disk and renamed, content before
the manifest that needs it. So a crash leaves a whole artifact or none.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

from prefect_delivery.artifacts import garbage
from prefect_delivery.artifacts.content import Content, unusable
from prefect_delivery.artifacts.durable import explained
from prefect_delivery.artifacts.extract import extract
from prefect_delivery.artifacts.intake import Intake
from prefect_delivery.artifacts.layout import Layout
from prefect_delivery.artifacts.manifest import Entry, File, decode, encode
from prefect_delivery.artifacts.packs import PackReader, PackWriter, index
from prefect_delivery.artifacts.patterns import select
from prefect_delivery.artifacts.safety import check
from prefect_delivery.artifacts.scan import scan
from prefect_delivery.artifacts.transfer import read_chunks, read_manifest, stream
from prefect_delivery.errors import ArtifactError


class ArtifactStore:
    """Keeps trees of files by the SHA-256 of what they hold, equal content once.

    Any number of processes may use it at the same time.

    Args:
        root: Folder of the store; made when first needed, private to its owner.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._layout = Layout(root)

    def put(self, folder: Path, patterns: list[str] | None = None) -> tuple[str, int]:
        """Store a folder, or those of its files that match `patterns`.

        Args:
            patterns: Globs as `patterns` describes them; none stands for everything.

        Returns:
            The artifact's digest, and the sum of its file sizes in bytes.

        Raises:
            ArtifactError: A pattern matches nothing, the tree is unsafe or holds
                special files, a file changed meanwhile, or the store has no room.
        """
        with self._guarded(f"store {folder}"), self._layout.shared():
            tree: Sequence[Entry] = scan(folder)
            if patterns:
                tree = select(tree, patterns)
            check(tree)
            manifest = encode(self._take(folder, tree))
            digest = sha256(manifest).hexdigest()
            self._layout.write_manifest(digest, manifest)
        return digest, _size(tree)

    def get(self, digest: str, folder: Path) -> None:
        """Write an artifact into `folder`, each byte verified before it is written.

        Raises:
            ArtifactError: `folder` is not empty, or the artifact is missing, damaged
                or unsafe; nothing is left in `folder` then.
        """
        with self._guarded(f"read the artifact {digest}"), self._layout.shared():
            tree = self._tree(digest)
            with (
                self._content(digest, tree) as content,
                explained(f"unpack into {folder}", str(folder)),
            ):
                extract(tree, folder, content.read)

    def send(self, digest: str) -> Iterator[bytes]:
        """An artifact as bytes for `receive` of another store, each of them verified.

        Raises:
            ArtifactError: It is missing, damaged or unsafe.
        """
        with self._guarded(f"read the artifact {digest}"), self._layout.shared():
            tree = self._tree(digest)
            with self._content(digest, tree) as content:
                yield from stream(self._manifest(digest), content.read)

    def receive(self, digest: str, read: Callable[[int], bytes]) -> int:
        """Store what `send` of another store gives, verified before it counts.

        Args:
            read: Gives so many bytes, fewer only at the end.

        Returns:
            The sum of its file sizes, in bytes.

        Raises:
            ArtifactError: It is another artifact than said, incomplete or unsafe, or
                the store has no room; nothing is kept then.
        """
        with self._guarded(f"store the artifact {digest}"), self._layout.shared():
            manifest = read_manifest(digest, read)
            tree = decode(manifest)
            check(tree)
            with self._intake(Path()) as intake:
                for chunk, data in read_chunks(tree, read):
                    intake.keep(chunk, data)
            self._layout.write_manifest(digest, manifest)
        return _size(tree)

    def verify(self, digest: str) -> None:
        """Read all of an artifact.

        Raises:
            ArtifactError: It is missing, damaged or unsafe.
        """
        with (
            self._guarded(f"read the artifact {digest}"),
            self._layout.shared(),
            self._content(digest, self._tree(digest)) as content,
        ):
            for chunk in content.chunks():
                content.read(chunk)

    def renew(self, digest: str) -> None:
        """Read all of an artifact, which is as young then as if it was just stored.

        Raises:
            ArtifactError: It is missing, damaged or unsafe.
        """
        with self._guarded(f"read the artifact {digest}"), self._layout.shared():
            self._layout.write_manifest(digest, self._layout.read_manifest(digest))
        # First young, so that no collection comes between.
        self.verify(digest)

    def choose(self, digest: str, patterns: Sequence[str]) -> tuple[str, int]:
        """The artifact of those files of another that match `patterns`.

        Args:
            patterns: Globs as `patterns` describes them.

        Returns:
            Its digest, and the sum of its file sizes in bytes.

        Raises:
            ArtifactError: A pattern matches nothing, or the artifact is missing,
                damaged or unsafe.
        """
        with self._guarded(f"read the artifact {digest}"), self._layout.shared():
            tree = select(self._tree(digest), patterns)
            manifest = encode(tree)
            chosen = sha256(manifest).hexdigest()
            self._layout.write_manifest(chosen, manifest)
        return chosen, _size(tree)

    def has(self, digest: str) -> bool:
        """Whether an artifact was stored here; whether it is intact, `verify` says."""
        return self._layout.manifest(digest).exists()

    def size(self, digest: str) -> int:
        """Sum of an artifact's file sizes, in bytes."""
        with self._guarded(f"read the artifact {digest}"):
            return _size(self._tree(digest))

    def entries(self, digest: str) -> list[Entry]:
        """What an artifact holds, each folder before what is in it.

        Raises:
            ArtifactError: It is missing or damaged.
        """
        with self._guarded(f"read the artifact {digest}"):
            return self._tree(digest)

    def collect(self, keep: set[str], *, grace: float = 3600) -> int:
        """Remove all artifacts but `keep`, and what only they needed.

        Waits until nobody stores or reads.

        Args:
            grace: Seconds for which an artifact is safe after it was last stored, so
                that whoever stored it has time to note its digest.

        Returns:
            Bytes freed.
        """
        with self._guarded("collect old artifacts"), self._layout.exclusive():
            return garbage.collect(self._layout, keep, grace)

    def _take(self, folder: Path, tree: Sequence[Entry]) -> list[Entry]:
        """Store the content of a tree's files; the tree with their chunks."""
        with self._intake(folder) as intake:
            return [intake.take(e) if isinstance(e, File) else e for e in tree]

    @contextmanager
    def _intake(self, folder: Path) -> Iterator[Intake]:
        known = index(self._layout.packs.iterdir())
        with (
            closing(PackWriter(self._layout.temporary)) as pack,
            closing(PackReader()) as reader,
        ):
            yield Intake(folder, known, pack, reader)
            pack.publish(self._layout.packs)

    def _manifest(self, digest: str) -> bytes:
        return self._layout.read_manifest(digest)

    def _tree(self, digest: str) -> list[Entry]:
        return self._decoded(digest, self._manifest(digest))

    def _decoded(self, digest: str, manifest: bytes) -> list[Entry]:
        try:
            tree = decode(manifest)
            check(tree)
        except ArtifactError as error:
            raise unusable(digest, error.message) from error
        return tree

    def _content(self, digest: str, tree: Sequence[Entry]) -> closing[Content]:
        return closing(Content(digest, tree, self._layout.packs))

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        with explained(what, f"the artifact store {self.root}"):
            yield


def _size(tree: Sequence[Entry]) -> int:
    return sum(entry.size for entry in tree if isinstance(entry, File))

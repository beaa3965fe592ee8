"""`make package`: write the build into dist/, from which a stack can be deployed without building.

The template names the archives in the same folder, so `sam deploy` and `aws cloudformation package` accept the folder
as it is. An archive's name is the SHA-256 of its content, and its content depends only on the build: sorted names, no
dates, no owners. The same build gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from stripe_to_segment import __version__
from stripe_to_segment_tools.build.readme import readme_elsewhere
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.terminal.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["MANIFEST", "TEMPLATE", "PackageError", "main", "package", "with_archives", "with_texts"]

BUILD = PROJECT / ".aws-sam" / "build"
DIST = PROJECT / "dist"
TEMPLATE, ARCHIVES, BILL = "template.yaml", "artifacts", "sbom.cdx.json"
MANIFEST, SIGNATURE, CHECKSUMS = "manifest.json", "manifest.json.sig", "SHA256SUMS"
# The files that the template names for the Serverless Application Repository.
LICENCE, README = "LICENSE", "README.md"
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_ARCHIVED = re.compile(r"^(\s+(?:Code|Content)Uri: )(\w+)$", re.MULTILINE)
_TEXT = re.compile(r"^(\s+(?:License|Readme)Url: )\S*?([^/\s]+)$", re.MULTILINE)


class PackageError(Exception):
    """The build cannot be packaged; the text says what to do."""


def package(build: Path, to: Path, key: Path | None = None) -> Path:
    """Write the files of a build, and return the manifest's path.

    Parameters
    ----------
    build
        The output of `make build`: template, folders of functions and layers, bill of materials.
    to
        The folder. Files of an earlier run are replaced; wheels stay.
    key
        A PEM file with an Ed25519 private key, which signs the manifest.

    Raises PackageError if the build is incomplete or the key is not an Ed25519 key.
    """
    if not (build / TEMPLATE).is_file() or not (build / BILL).is_file():
        raise PackageError(f"{build} lacks {TEMPLATE} or {BILL}: run `make build`")
    signer = None if key is None else _signer(key)
    shutil.rmtree(to / ARCHIVES, ignore_errors=True)
    (to / ARCHIVES).mkdir(parents=True)
    text = (build / TEMPLATE).read_text("utf-8")
    folders = sorted({folder for _, folder in _ARCHIVED.findall(text)})
    if not folders:
        raise PackageError(f"{build / TEMPLATE} names no function and no layer: run `make build`")
    archives = {folder: f"{ARCHIVES}/{_archive(build / folder, to / ARCHIVES)}" for folder in folders}
    (to / TEMPLATE).write_text(with_texts(with_archives(text, archives), ""), "utf-8")
    shutil.copyfile(build / BILL, to / BILL)
    shutil.copyfile(PROJECT / LICENCE, to / LICENCE)
    text = readme_elsewhere((PROJECT / README).read_text("utf-8"), os.environ.get("REPOSITORY_URL", ""))
    (to / README).write_text(text, "utf-8")
    names = sorted([TEMPLATE, BILL, LICENCE, README, *archives.values()])
    files = {name: _sha256((to / name).read_bytes()) for name in names}
    manifest = {"name": "stripe-to-segment", "version": __version__, "archives": archives, "sha256": files}
    content = f"{json.dumps(manifest, indent=2)}\n".encode()
    (to / MANIFEST).write_bytes(content)
    (to / SIGNATURE).unlink(missing_ok=True)
    if signer is not None:
        (to / SIGNATURE).write_bytes(signer.sign(content))
    sums = [*files.items(), (MANIFEST, _sha256(content))]
    (to / CHECKSUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums)), "utf-8")
    return to / MANIFEST


def with_archives(template: str, places: Mapping[str, str]) -> str:
    """The template with the place of the archive for each function and layer."""
    return _ARCHIVED.sub(lambda found: f"{found[1]}{places[found[2]]}", template)


def with_texts(template: str, folder: str) -> str:
    """The template with licence and README in a folder, which ends in a slash, or beside it."""
    return _TEXT.sub(lambda found: f"{found[1]}{folder}{found[2]}", template)


def main(arguments: list[str] | None = None) -> int:
    """Package the build; return the exit status."""
    parser = argparse.ArgumentParser(prog="make package", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--key", type=Path, help="PEM file with an Ed25519 private key: signs the manifest")
    chosen = parser.parse_args(arguments)
    try:
        manifest = package(BUILD, DIST, chosen.key)
    except PackageError as error:
        say(f"error: {error}", err=True)
        return 1
    size = sum(path.stat().st_size for path in (DIST / ARCHIVES).iterdir())
    signed = f", signed: {DIST / SIGNATURE}" if chosen.key else ", not signed: KEY=… takes an Ed25519 key"
    say(f"wrote {DIST / TEMPLATE} and {size / 1e6:.1f} MB of archives", f"listed in {manifest}{signed}")
    return 0


def _archive(folder: Path, to: Path) -> str:
    """Write a folder's archive, and return its name."""
    waiting = to / f"{folder.name}.zip"
    with zipfile.ZipFile(waiting, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, name in _files(folder):
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Lambda runs the code as another user, so everybody may read it.
            entry.external_attr = (0o100755 if path.stat().st_mode & 0o100 else 0o100644) << 16
            archive.writestr(entry, path.read_bytes())
    name = f"{_sha256(waiting.read_bytes())}.zip"
    waiting.replace(to / name)
    return name


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    found = [(path, path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file()]
    yield from sorted(found, key=lambda each: each[1])


def _signer(key: Path) -> Ed25519PrivateKey:
    try:
        found = load_pem_private_key(key.read_bytes(), None)
    except (OSError, TypeError, ValueError) as error:
        raise PackageError(f"{key} is no readable private key in PEM without a password") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise PackageError(f"{key} is no Ed25519 key: make one with `openssl genpkey -algorithm ed25519 -out {key}`")
    return found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main())

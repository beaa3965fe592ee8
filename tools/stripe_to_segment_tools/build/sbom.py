"""The software bill of materials of the build: `make build` writes it to .aws-sam/build/sbom.cdx.json.

CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/): the functions and layers with each of our own files, and every
distribution in the dependencies layer with its licence and the hashes that its files may have. What the page of `make
run` brings along is listed too, with the scope "excluded": it never runs in Lambda. The same build gives the same
bytes: the serial number is derived from the content, and there is a time only if SOURCE_DATE_EPOCH gives one
(https://reproducible-builds.org/specs/source-date-epoch/).
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import uuid
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from typing import TYPE_CHECKING

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.spdx import fixup_id
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stripe_to_segment import __version__
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.terminal.output import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cyclonedx.model.license import License

__all__ = ["bill_of", "main", "pinned_hashes"]

BUILD = PROJECT / ".aws-sam" / "build"
PINNED = PROJECT / "layers" / "dependencies" / "requirements.txt"
# The libraries that the page of `make run` brings along, a folder each.
VENDORED = PROJECT / "tools" / "stripe_to_segment_tools" / "page" / "static" / "vendor"
NAME, LICENCE = "stripe-to-segment", "MIT"
# The platform of Lambda, whatever machine builds, in the terms of
# https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers
RUNTIME = {
    "os_name": "posix",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "aarch64",
    "extra": "",
}
# The names of licences in distributions, with their SPDX ids: https://spdx.org/licenses/
SPDX = {
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(.*)", re.MULTILINE)


def main() -> int:
    """Write the bill; return the exit status."""
    if not BUILD.is_dir():
        say(f"error: {BUILD} is missing: run `make build`", err=True)
        return 1
    (BUILD / "sbom.cdx.json").write_text(bill_of(BUILD, pinned_hashes(PINNED.read_text("utf-8"))), "utf-8")
    return 0


def pinned_hashes(requirements: str) -> dict[str, list[str]]:
    """The SHA-256 in hex of each file that may be installed, by name and version as in `boto3==1.44.5`."""
    found = _PIN.findall(requirements.replace("\\\n", ""))
    return {
        f"{canonicalize_name(name)}=={version}": re.findall(r"--hash=sha256:([0-9a-f]{64})", rest)
        for name, version, rest in found
    }


def bill_of(build: Path, pinned: Mapping[str, list[str]]) -> str:
    """The bill of a folder of `sam build`, as JSON.

    Raises KeyError if a layer has a distribution that is not pinned.
    """
    root = Component(
        name=NAME,
        type=ComponentType.APPLICATION,
        version=__version__,
        bom_ref=NAME,
        licenses=_licences(LICENCE),
        purl=PackageURL("generic", None, NAME, __version__),
    )
    folders = sorted(path for path in build.iterdir() if path.is_dir())
    layers = [path for path in folders if (path / "python").is_dir()]
    libraries: dict[str, Distribution] = {
        canonicalize_name(found.metadata["Name"]): found
        for layer in layers
        for found in distributions(path=[str(layer / "python")])
    }
    listed = {name: _library(name, found, pinned) for name, found in libraries.items()}
    units = {path: _unit(path, is_layer=path in layers) for path in folders}
    vendored = [_vendored(path) for path in sorted(VENDORED.iterdir())]
    bom = Bom(components=[*units.values(), *listed.values(), *vendored], metadata=BomMetaData(component=root))
    needed = {name: _needed_by(found) & libraries.keys() for name, found in libraries.items()}
    for name, others in needed.items():
        bom.register_dependency(listed[name], [listed[other] for other in others])
    first = libraries.keys() - set().union(*needed.values())
    for path, unit in units.items():
        holds = [listed[name] for name in first] if any(path.rglob("*.dist-info")) else []
        bom.register_dependency(unit, holds if path in layers else [units[layer] for layer in layers])
    bom.register_dependency(root, [*units.values(), *vendored])
    return _written(bom)


def _unit(path: Path, *, is_layer: bool) -> Component:
    """A function or layer with our own files; third-party files are listed by their distributions."""
    is_own = not any(path.rglob("*.dist-info"))
    files = [each for each in sorted(path.rglob("*")) if is_own and each.is_file() and each.suffix != ".pyc"]
    return Component(
        name=path.name,
        type=ComponentType.LIBRARY if is_layer else ComponentType.APPLICATION,
        version=__version__,
        bom_ref=path.name,
        description="Lambda layer" if is_layer else "Lambda function",
        licenses=_licences(LICENCE) if is_own else [],
        components=[_file(each, path) for each in files],
    )


def _file(path: Path, folder: Path) -> Component:
    name = path.relative_to(folder).as_posix()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Component(
        name=name,
        type=ComponentType.FILE,
        bom_ref=f"{folder.name}/{name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )


def _vendored(folder: Path) -> Component:
    """A library of the page with its files; its README begins with name and version, and states the licence."""
    readme = (folder / "README.md").read_text("utf-8")
    about, licence = re.match(r"# (\S+) (\S+)\n", readme), re.search(r"`LICENSE` \(([^)]+)\)", readme)
    if about is None or licence is None:
        raise ValueError(
            f"{folder / 'README.md'} must begin with `# name version`, and name the licence: `LICENSE` (MIT)"
        )
    return Component(
        name=about[1],
        type=ComponentType.LIBRARY,
        version=about[2],
        bom_ref=f"vendor/{folder.name}",
        purl=PackageURL("npm", None, folder.name, about[2]),
        description="Draws the charts of the page of `make run`; not deployed",
        scope=ComponentScope.EXCLUDED,
        licenses=_licences(licence[1]),
        components=[_file(each, folder) for each in sorted(folder.iterdir()) if each.name != "README.md"],
    )


def _library(name: str, found: Distribution, pinned: Mapping[str, list[str]]) -> Component:
    purl = PackageURL("pypi", None, name, found.version)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=each) for each in pinned[f"{name}=={found.version}"]]
    return Component(
        name=name,
        type=ComponentType.LIBRARY,
        version=found.version,
        bom_ref=str(purl),
        purl=purl,
        description=found.metadata.get("Summary"),
        licenses=_licences(*_declared(found)),
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(str(purl)),
                comment="The file that was installed has one of these hashes.",
                hashes=hashes,
            )
        ],
    )


def _declared(found: Distribution) -> list[str]:
    """The licences of a distribution: an SPDX expression, a licence field that SPDX knows, or its classifiers."""
    expression, field = found.metadata.get("License-Expression"), found.metadata.get("License", "")
    if expression:
        return [expression]
    if fixup_id(SPDX.get(field, field)):
        return [SPDX.get(field, field)]
    classifiers = found.metadata.get_all("Classifier", [])
    names = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: ")]
    return [SPDX.get(name, name) for name in names] or [field or "not declared"]


def _licences(*names: str) -> list[License]:
    make = LicenseFactory().make_from_string
    return [make(name, license_acknowledgement=LicenseAcknowledgement.DECLARED) for name in names]


def _needed_by(found: Distribution) -> set[str]:
    """The names of the distributions that a distribution requires on Lambda."""
    required = [Requirement(text) for text in found.metadata.get_all("Requires-Dist", [])]
    needed: Iterable[Requirement] = (each for each in required if not each.marker or each.marker.evaluate(RUNTIME))
    return {canonicalize_name(each.name) for each in needed}


def _written(bom: Bom) -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    bom.metadata.timestamp = datetime.fromtimestamp(int(epoch), UTC) if epoch else None  # type: ignore[assignment]
    bom.serial_number = uuid.UUID(int=0)
    content = JsonV1Dot6(bom).output_as_string()
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, content)
    return f"{JsonV1Dot6(bom).output_as_string(indent=2)}\n"


if __name__ == "__main__":
    sys.exit(main())

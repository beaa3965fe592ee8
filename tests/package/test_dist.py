"""What `make package` writes: a stack can be deployed from it, and whoever has it can check it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from stripe_to_segment import __version__
from stripe_to_segment_tools.build.package import BUILD, PackageError, package
from stripe_to_segment_tools.build.publish import PublishError, publish

pytestmark = pytest.mark.built

FUNCTIONS = ("ReceiveFunction", "DeliverFunction", "ReconcileFunction", "AuditFunction")


class Bucket:
    """S3, as far as `publish` asks it."""

    def __init__(self, region: str | None = "eu-central-1") -> None:
        self.region, self.objects, self.puts = region, dict[str, bytes](), list[str]()

    def get_bucket_location(self, **_: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html."""
        return {"LocationConstraint": self.region}

    def head_object(self, **given: str) -> None:
        """Say 404 as botocore does, which has no body to read a code from."""
        if given["Key"] not in self.objects:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")

    def put_object(self, **given: Any) -> None:
        """Keep it."""
        self.puts.append(given["Key"])
        self.objects[given["Key"]] = given["Body"]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    package(BUILD, folder)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build with one of its third-party packages: to compress all of them takes a second each time."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        return {*names} - {"requests"} if folder.endswith("DependenciesLayer/python") else set()

    return Path(shutil.copytree(BUILD, tmp_path_factory.mktemp("small") / "build", ignore=left_out))


def manifest(dist: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((dist / "manifest.json").read_text("utf-8"))
    return found


def content(dist: Path) -> dict[str, bytes]:
    return {path.relative_to(dist).as_posix(): path.read_bytes() for path in dist.rglob("*") if path.is_file()}


def private_key(path: Path, key: Any) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_the_template_names_an_archive_for_each_function_and_layer_and_nothing_outside_the_folder(dist: Path) -> None:
    template = (dist / "template.yaml").read_text("utf-8")
    archives = manifest(dist)["archives"]
    assert archives.keys() == {*FUNCTIONS, "DependenciesLayer", "StripeToSegmentLayer"}
    assert all(f"Uri: {path}\n" in template for path in archives.values())
    assert template.count("CodeUri:") + template.count("ContentUri:") == len(archives)
    assert "../" not in template
    assert all((dist / name).is_file() for name in ("LICENSE", "README.md", "sbom.cdx.json"))
    assert "](docs/" not in (dist / "README.md").read_text("utf-8"), "there is no such folder beside it"


def test_an_archive_holds_what_was_built_and_is_named_by_its_content(dist: Path) -> None:
    for folder, path in manifest(dist)["archives"].items():
        archive = (dist / path).read_bytes()
        assert path == f"artifacts/{hashlib.sha256(archive).hexdigest()}.zip"
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            assert {name: opened.read(name) for name in opened.namelist()} == content(BUILD / folder)


def test_lambda_may_read_every_file_of_an_archive(dist: Path) -> None:
    for path in manifest(dist)["archives"].values():
        with zipfile.ZipFile(dist / path) as opened:
            assert all(entry.external_attr >> 16 & 0o444 == 0o444 for entry in opened.infolist())


def test_the_same_build_gives_the_same_bytes_whatever_its_dates_and_its_place(dist: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(BUILD, moved, copy_function=shutil.copy)
    for path in moved.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    package(moved, tmp_path / "dist")
    assert content(tmp_path / "dist") == content(dist)


def test_another_build_gives_another_archive(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "changed")
    (tmp_path / "changed/DeliverFunction/enrich.py").write_text("def enrich(call, event): return None\n", "utf-8")
    package(small, tmp_path / "before")
    package(tmp_path / "changed", tmp_path / "after")
    before, after = (manifest(tmp_path / name)["archives"] for name in ("before", "after"))
    assert {name for name in before if before[name] != after[name]} == {"DeliverFunction"}


def test_an_earlier_runs_archives_are_gone_and_a_wheel_stays(small: Path, tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    for name in ("artifacts/old.zip", "stripe_to_segment.whl", "manifest.json.sig"):
        (tmp_path / name).write_bytes(b"")
    package(small, tmp_path)
    assert not (tmp_path / "artifacts/old.zip").exists()
    assert not (tmp_path / "manifest.json.sig").exists(), "the signature is of another manifest"
    assert (tmp_path / "stripe_to_segment.whl").exists()


def test_every_file_has_its_checksum_as_sha256sum_reads_it(dist: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=dist, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout
    listed = {line.split()[1] for line in (dist / "SHA256SUMS").read_text("utf-8").splitlines()}
    assert listed == content(dist).keys() - {"SHA256SUMS"}
    assert manifest(dist)["version"] == __version__


def test_a_key_signs_the_manifest(small: Path, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    made = package(small, tmp_path / "dist", private_key(tmp_path / "key.pem", key))
    signature = (tmp_path / "dist/manifest.json.sig").read_bytes()
    key.public_key().verify(signature, made.read_bytes())
    with pytest.raises(InvalidSignature):
        key.public_key().verify(signature, made.read_bytes() + b" ")


def test_a_key_that_cannot_sign_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no key", "utf-8")
    rsa = private_key(tmp_path / "rsa.pem", generate_private_key(65537, 2048))
    for key, message in ((tmp_path / "text.pem", "PEM"), (tmp_path / "none.pem", "PEM"), (rsa, "openssl genpkey")):
        with pytest.raises(PackageError, match=message):
            package(BUILD, tmp_path / "dist", key)
    assert not (tmp_path / "dist").exists()


def test_an_incomplete_build_is_not_packaged(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="make build"):
        package(tmp_path, tmp_path / "dist")


def test_published_the_template_names_the_archives_in_the_bucket(dist: Path) -> None:
    bucket = Bucket()
    made = publish(dist, "shop-artifacts", "packs/", bucket)
    folder = f"packs/{__version__}"
    template = bucket.objects[f"{folder}/template.yaml"].decode()
    for path in manifest(dist)["archives"].values():
        assert f"Uri: s3://shop-artifacts/{folder}/{path}\n" in template
        assert bucket.objects[f"{folder}/{path}"] == (dist / path).read_bytes()
    assert bucket.puts[-1] == f"{folder}/template.yaml", "who launches it before finds nothing, never half of it"
    assert made.template_url == f"https://shop-artifacts.s3.eu-central-1.amazonaws.com/{folder}/template.yaml"
    assert made.launch_url.startswith(
        "https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#"
    )
    assert "templateURL=https%3A%2F%2Fshop-artifacts.s3.eu-central-1" in made.launch_url


@pytest.mark.parametrize(
    ("region", "template", "console"),
    [
        ("cn-north-1", "shop-artifacts.s3.cn-north-1.amazonaws.com.cn", "cn-north-1.console.amazonaws.cn"),
        (
            "us-gov-west-1",
            "shop-artifacts.s3.us-gov-west-1.amazonaws.com",
            "us-gov-west-1.console.amazonaws-us-gov.com",
        ),
        (
            "eusc-de-east-1",
            "shop-artifacts.s3.eusc-de-east-1.amazonaws.eu",
            "eusc-de-east-1.console.amazonaws-eusc.eu",
        ),
    ],
)
def test_the_links_are_those_of_the_buckets_partition(dist: Path, region: str, template: str, console: str) -> None:
    """Both links had the hosts of the partition aws, so in China and GovCloud neither was one."""
    made = publish(dist, "shop-artifacts", "", Bucket(region))
    assert made.template_url.startswith(f"https://{template}/")
    assert made.launch_url.startswith(f"https://{console}/cloudformation/home?region={region}#")


def test_an_archive_in_the_bucket_is_not_uploaded_again(dist: Path) -> None:
    bucket = Bucket(region=None)
    assert publish(dist, "shop-artifacts", "", bucket).uploaded == 6
    again = publish(dist, "shop-artifacts", "", bucket)
    assert again.uploaded == 0
    assert again.template_url.startswith("https://shop-artifacts.s3.us-east-1.amazonaws.com/")


def test_a_package_changed_after_packaging_is_not_published(dist: Path, tmp_path: Path) -> None:
    shutil.copytree(dist, tmp_path / "dist")
    (tmp_path / "dist/template.yaml").write_text("Resources: {}\n", "utf-8")
    bucket = Bucket()
    with pytest.raises(PublishError, match="make package"):
        publish(tmp_path / "dist", "shop-artifacts", "", bucket)
    with pytest.raises(PublishError, match="make package"):
        publish(tmp_path, "shop-artifacts", "", bucket)
    assert bucket.puts == []

"""`make publish BUCKET=…`: upload the output of `make package` to a bucket, and print the link that launches a stack.

Lambda accepts code only from a bucket in the stack's own region, so a bucket serves one region.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from stripe_to_segment.errors import code_of
from stripe_to_segment_tools.build.package import DIST, MANIFEST, TEMPLATE, with_texts
from stripe_to_segment_tools.terminal.output import say

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PublishError", "Published", "main", "publish"]

# For us-east-1 S3 returns no region: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
NAMELESS = "us-east-1"
# By partition, the hosts of S3 and of the console; template.yaml has the same consoles.
HOSTS = {
    "aws": ("amazonaws.com", "console.aws.amazon.com"),
    "aws-us-gov": ("amazonaws.com", "console.amazonaws-us-gov.com"),
    "aws-cn": ("amazonaws.com.cn", "console.amazonaws.cn"),
    "aws-eusc": ("amazonaws.eu", "console.amazonaws-eusc.eu"),
}


class PublishError(Exception):
    """The package cannot be published; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Published:
    """The template's address in the bucket, and the console's page that launches a stack from it."""

    template_url: str
    launch_url: str
    uploaded: int


def publish(dist: Path, bucket: str, prefix: str, s3: Any) -> Published:
    """Upload the archives that are not in the bucket yet, then the template that names them, and the other files.

    Raises PublishError if the folder is incomplete, and botocore's errors if S3 refuses.
    """
    try:
        manifest = json.loads((dist / MANIFEST).read_text("utf-8"))
    except OSError as error:
        raise PublishError(f"{dist / MANIFEST} is missing: run `make package`") from error
    for name, digest in manifest["sha256"].items():
        if hashlib.sha256((dist / name).read_bytes()).hexdigest() != digest:
            raise PublishError(f"{dist / name} is not what {MANIFEST} lists: run `make package` again")
    folder = f"{prefix.strip('/')}/{manifest['version']}".lstrip("/")
    region = s3.get_bucket_location(Bucket=bucket).get("LocationConstraint") or NAMELESS
    template = with_texts((dist / TEMPLATE).read_text("utf-8"), f"s3://{bucket}/{folder}/")
    uploaded = 0
    for path in manifest["archives"].values():
        key = f"{folder}/{path}"
        # The name is a digest of the content, so an existing object is the same.
        if not _is_there(s3, bucket, key):
            s3.put_object(Bucket=bucket, Key=key, Body=(dist / path).read_bytes(), ContentType="application/zip")
            uploaded += 1
        template = template.replace(f"Uri: {path}\n", f"Uri: s3://{bucket}/{key}\n")
    # The checksums are not uploaded, because the uploaded template differs.
    for name in sorted(manifest["sha256"].keys() - {*manifest["archives"].values(), TEMPLATE}):
        s3.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=(dist / name).read_bytes())
    s3.put_object(Bucket=bucket, Key=f"{folder}/{TEMPLATE}", Body=template.encode())
    host, console = HOSTS[boto3.Session().get_partition_for_region(region)]
    url = f"https://{bucket}.s3.{region}.{host}/{folder}/{TEMPLATE}"
    query = urlencode({"templateURL": url, "stackName": manifest["name"]})
    page = f"https://{region}.{console}/cloudformation/home?region={region}#/stacks/create/review?{query}"
    return Published(url, page, uploaded)


def main(arguments: list[str] | None = None) -> int:
    """Publish the package; return the exit status."""
    parser = argparse.ArgumentParser(prog="make publish", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bucket", help="an S3 bucket of the region in which stacks are to be launched")
    parser.add_argument("--prefix", default="stripe-to-segment", help="the folder in it (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    try:
        made = publish(DIST, chosen.bucket, chosen.prefix, boto3.client("s3"))
    except PublishError as error:
        say(f"error: {error}", err=True)
        return 1
    except (BotoCoreError, ClientError) as error:
        why = code_of(error) if isinstance(error, ClientError) else str(error)
        say(f"error: S3 refused the upload to the bucket {chosen.bucket!r}: {why}", err=True)
        return 1
    say(
        f"uploaded {made.uploaded} archives and the template",
        "",
        "Launch a stack (for everybody who may read the bucket):",
    )
    say(
        made.launch_url,
        "",
        "or",
        f"aws cloudformation create-stack --stack-name stripe-to-segment --template-url {made.template_url} "
        "--capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND",
    )
    return 0


def _is_there(s3: Any, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if code_of(error) in {"404", "NoSuchKey", "NotFound"}:
            return False
        raise
    return True


if __name__ == "__main__":
    sys.exit(main())

"""The Serverless Application Repository: `sam publish` of the published template, and what AWS's pages ask of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from stripe_to_segment import __version__
from stripe_to_segment_tools.build.package import BUILD, package
from stripe_to_segment_tools.build.publish import publish
from tests.package.test_dist import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]
APPLICATION = "arn:aws:serverlessrepo:eu-central-1:123456789012:applications/stripe-to-segment"
# https://docs.aws.amazon.com/serverlessrepo/latest/devguide/list-supported-resources.html, of the services used here.
TAKEN = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::DynamoDB::Table",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::Function",
    "AWS::Serverless::HttpApi",
    "AWS::Serverless::LayerVersion",
}
GUIDE = (PROJECT / "docs/recipes.md").read_text("utf-8")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags, of which none matters here."""


_Loader.add_multi_constructor("!", lambda _, tag, node: f"{tag} {node.value}")


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    text = (PROJECT / "template.yaml").read_text("utf-8")
    body: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    return body


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as `make publish` puts it into a bucket."""
    folder, bucket = tmp_path_factory.mktemp("sar"), Bucket()
    package(BUILD, folder / "dist")
    publish(folder / "dist", "shop-artifacts", "packs", bucket)
    (folder / "template.yaml").write_bytes(bucket.objects[f"packs/{__version__}/template.yaml"])
    return folder / "template.yaml"


@contextmanager
def repository() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """SAR, as far as a first publication asks it: its address, and the applications that were created."""
    created: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """https://docs.aws.amazon.com/serverlessrepo/latest/devguide/applications.html."""
            created.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))) | {"path": self.path})
            answer = json.dumps({"applicationId": APPLICATION}).encode()
            self.send_response(201)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", created
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sam_publish(template: Path, url: str) -> subprocess.CompletedProcess[str]:
    own = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    return subprocess.run(
        [PROJECT / ".tools/sam/bin/sam", "publish", "--template", template, "--region", "eu-central-1"],
        cwd=template.parent,
        env=os.environ | own | {"SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@pytest.mark.built
@pytest.mark.tool
def test_sam_publishes_the_published_template(published: Path) -> None:
    with repository() as (url, created):
        done = sam_publish(published, url)
    assert done.returncode == 0, done.stderr
    (application,) = created
    folder = f"s3://shop-artifacts/packs/{__version__}"
    assert application["path"] == "/applications"
    assert application["semanticVersion"] == __version__
    assert (application["licenseUrl"], application["readmeUrl"]) == (f"{folder}/LICENSE", f"{folder}/README.md")
    assert len(re.findall(rf"Uri: {folder}/artifacts/[0-9a-f]{{64}}\.zip\n", application["templateBody"])) == 6


def test_the_metadata_is_within_the_limits_of_the_repository(template: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/serverlessrepo/latest/devguide/applications.html; the author had a space in it."""
    told = template["Metadata"]["AWS::ServerlessRepo::Application"]
    assert re.fullmatch(r"[a-zA-Z0-9-]{1,140}", told["Name"])
    assert 0 < len(told["Description"]) <= 256
    assert re.fullmatch(r"[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?", told["Author"])
    assert len(told["Labels"]) <= 10
    assert all(re.fullmatch(r"[a-zA-Z0-9+_:/@-]{1,127}", label) for label in told["Labels"])
    # Without these it cannot be made public.
    assert told["SpdxLicenseId"] == "MIT"
    assert told["SemanticVersion"] == __version__
    assert all((PROJECT / told[name]).is_file() for name in ("LicenseUrl", "ReadmeUrl"))


def test_the_repository_takes_every_resource_but_those_that_the_guide_names(template: dict[str, Any]) -> None:
    others = {each["Type"] for each in template["Resources"].values()} - TAKEN
    assert others == set(re.findall(r"`(AWS::\w+::\w+)`", GUIDE.split("\n## Serverless Application Repository\n")[1]))


def test_no_role_has_a_policy_for_which_the_repository_refuses_an_application() -> None:
    """https://docs.aws.amazon.com/serverlessrepo/latest/devguide/using-aws-sam.html."""
    text = (PROJECT / "template.yaml").read_text("utf-8")
    assert "sqs:SendMessage" in text
    assert re.findall(r"AWSLambda_FullAccess|iam:(?:\*|AttachRolePolicy|PutRolePolicy|PassRole)", text) == []

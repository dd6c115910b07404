"""A Lambda function that gates itself with one decorator, and uses OpenFeature for a value that is not a gate.

It reads the rules from Headgate's table (it needs only `dynamodb:GetItem`, `BatchGetItem`, and `Query` on it) and uses
Headgate's layer. It runs behind Headgate's authorizer, which identifies the caller.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from headgate import Gate, HeadgateProvider, caller_subject

gate = Gate(os.environ["HEADGATE_TABLE"], live=True)
api.set_provider_and_wait(HeadgateProvider(os.environ["HEADGATE_TABLE"]))
flags = api.get_client()


@gate.required("gastown-convoys")
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    subject = caller_subject(event)
    who = EvaluationContext(subject.user, {"orgs": list(subject.orgs), "admin": subject.admin})
    strategy = flags.get_string_value("gastown-pr-merge", "direct", who)
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps({"merge": strategy})}

"""Decides a function's environment variables: its own, and those that Lambda and the local stack add.

Nothing is inherited from the runner: what a function needs must be in the template.
Source: AWS Lambda Developer Guide, "Defined runtime environment variables".
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from headgate_cli.local.children import library_folders
from headgate_cli.local.declared import REGION, Function


def runtime_variables(
    function: Function, *, api: str, endpoints: Mapping[str, str], credentials: tuple[str, str]
) -> dict[str, str]:
    """Return the variables of one function.

    `api` is the Runtime API's host, port, and secret, `endpoints` point botocore to the local DynamoDB and KMS, and
    `credentials` are the access key id and secret for those.
    """
    key_id, secret = credentials
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONUNBUFFERED": "1",
        **function.environment,
        "_HANDLER": function.handler,
        "LAMBDA_TASK_ROOT": str(function.code_dir),
        "PYTHONPATH": os.pathsep.join(map(str, (function.code_dir, *function.layers, *library_folders()))),
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_LAMBDA_FUNCTION_NAME": function.logical_id,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.logical_id}",
        "AWS_LAMBDA_LOG_STREAM_NAME": time.strftime("%Y/%m/%d/[$LATEST]local", time.gmtime()),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_XRAY_SDK_ENABLED": "false",
        **endpoints,
    }

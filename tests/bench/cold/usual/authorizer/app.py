"""The authorizer by the usual stack: Powertools' logger, metrics, tracer and parser, PyJWT, boto3."""

from typing import Any

import jwt
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.api_gateway_authorizer_event import APIGatewayAuthorizerResponseV2
from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.parser.models import ApiGatewayAuthorizerRequestV2
from aws_lambda_powertools.utilities.typing import LambdaContext
from shared import claims_of, is_on

logger, tracer, metrics = Logger(service="gate"), Tracer(service="gate"), Metrics(namespace="Gate", service="gate")


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
@event_parser(model=ApiGatewayAuthorizerRequestV2)
def handler(event: ApiGatewayAuthorizerRequestV2, context: LambdaContext) -> dict[str, Any]:
    """Let through or not."""
    try:
        claims = claims_of(event.headers["authorization"].removeprefix("Bearer "))
    except jwt.InvalidTokenError:
        return APIGatewayAuthorizerResponseV2(authorize=False).asdict()
    allowed = is_on("gastown-access", claims)
    metrics.add_metric(name="Decided", unit=MetricUnit.Count, value=1)
    logger.info("decided", extra={"allowed": allowed})
    return APIGatewayAuthorizerResponseV2(authorize=allowed, context={"subject": claims["sub"]}).asdict()

"""The evaluate function by the usual stack: Powertools' resolver with validation, logger, metrics and tracer, boto3."""

from typing import Annotated, Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel
from shared import claims_of, is_on

logger, tracer, metrics = Logger(service="gate"), Tracer(service="gate"), Metrics(namespace="Gate", service="gate")
app = APIGatewayHttpResolver(enable_validation=True)


class Question(BaseModel):
    """The body of an evaluation."""

    context: dict[str, Any]


class Answer(BaseModel):
    """One flag."""

    key: str
    value: bool
    reason: str


@app.post("/ofrep/v1/evaluate/flags/<key>")
def evaluate(key: Annotated[str, Path()], question: Question) -> Answer:
    """One flag for the token's subject."""
    claims = claims_of(app.current_event.headers["authorization"].removeprefix("Bearer "))
    metrics.add_metric(name="Evaluated", unit=MetricUnit.Count, value=1)
    logger.info("evaluated", extra={"flag": key})
    return Answer(key=key, value=is_on(key, claims), reason="TARGETING_MATCH")


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one event of the HTTP API."""
    return app.resolve(event, context)

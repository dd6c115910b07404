"""Flag evaluations as events of the current OpenTelemetry span. Off, and not even imported, without a tracing layer.

A span event, as OpenFeature's tracing hooks write it, belongs to the request's trace without a log exporter. It leaves
out the subject (`feature_flag.context.id`): a trace has more readers than the audit stream.
Source: OpenTelemetry semantic conventions for feature flags, event `feature_flag.evaluation`
(https://opentelemetry.io/docs/specs/semconv/feature-flags/feature-flags-events/).
"""

import os
from collections.abc import Mapping

from headgate.core.model import Decision, Reason

ON = os.environ.get("HEADGATE_TRACING") == "on"
if ON:
    from opentelemetry import trace

    from headgate.edge.openfeature import OPENFEATURE

EVENT = "feature_flag.evaluation"


def evaluated(decided: Mapping[str, Decision], revision: int) -> None:
    """Record the decisions on these flags, under the rules of `revision`. Call it only if `ON`."""
    span = trace.get_current_span()
    if not span.is_recording():
        return
    for key, decision in decided.items():
        missing = decision.reason is Reason.FLAG_NOT_FOUND
        reason = "error" if missing else OPENFEATURE.get(decision.reason, "DEFAULT").lower()
        span.add_event(EVENT, {
            "feature_flag.key": key,
            "feature_flag.provider.name": "headgate",
            "feature_flag.result.reason": reason,
            "feature_flag.version": str(revision),
            **({"error.type": "flag_not_found"} if missing
               else {"feature_flag.result.variant": "on" if decision.value else "off"}),
            "headgate.reason": decision.reason.value,
        })  # fmt: skip

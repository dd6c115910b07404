"""Found only by way of the layer."""

ANSWER = 42

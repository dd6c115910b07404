"""How Hypothesis works here: the same cases in every run, so that a failure is the change's and not the day's.

`--hypothesis-profile=explore` tries ten times as many, new ones in every run.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "same", derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=1_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")

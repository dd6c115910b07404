"""The tour: a whole rollout of one feature on a running stack, with each answer checked."""

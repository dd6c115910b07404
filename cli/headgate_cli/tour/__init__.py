"""The tour: one feature's whole life, played against a running stack, each answer checked."""

"""Moves the gate to its newest code step by step, and back if an alarm goes off."""

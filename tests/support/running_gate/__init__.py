"""A test client of a running stack: plain HTTP, generated people, signed calls. It imports no code under test."""

from running_gate.deadline import until
from running_gate.gate import Gate
from running_gate.http import Answer, is_refused_at_the_gate
from running_gate.people import Person

__all__ = ["Answer", "Gate", "Person", "is_refused_at_the_gate", "until"]

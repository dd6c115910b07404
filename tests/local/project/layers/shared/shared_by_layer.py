"""Importable only through the layer."""

ANSWER = 42

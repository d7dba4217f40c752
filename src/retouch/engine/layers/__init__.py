"""Layers of the models that compute the same numbers faster on CPUs."""

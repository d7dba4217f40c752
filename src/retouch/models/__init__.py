"""Checkpoints: finding, checking and loading them into a `ModelBundle`."""

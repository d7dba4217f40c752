"""Metrics and reports on the quality of fills."""

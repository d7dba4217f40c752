"""Screening of what comes in, verdicts on what goes out."""

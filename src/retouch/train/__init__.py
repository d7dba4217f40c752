"""The two-phase training recipe."""

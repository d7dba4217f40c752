"""The command line: one module for each command group, no logic."""

"""Files that packages hold as they stand here; whoever runs the package imports them, nobody here does."""

"""A checkpoint and what runs it, as a folder that MLflow or Azure ML takes: models from code, no pickle."""

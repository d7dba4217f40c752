"""Batches on a server: rows of a table, painted behind all requests, durable over restarts."""

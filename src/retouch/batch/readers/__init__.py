"""Inputs: tables, folders and shards, read row by row in bounded memory."""

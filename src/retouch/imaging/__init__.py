"""Pixels: decoding untrusted bytes, masks, regions, compositing, encoding."""

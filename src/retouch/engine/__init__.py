"""The denoising engine: plans go in, finished pictures come out, calls are shared between them."""

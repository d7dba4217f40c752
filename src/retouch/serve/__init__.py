"""HTTP: what stands between a socket and the work, and the work behind it."""

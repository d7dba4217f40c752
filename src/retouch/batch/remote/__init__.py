"""The same run with its rows painted elsewhere: actors of a Ray cluster, one engine in each."""

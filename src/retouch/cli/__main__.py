"""`python -m retouch.cli`, where the script `retouch` is not on the path."""

from retouch.cli.main import main

if __name__ == "__main__":
    main()

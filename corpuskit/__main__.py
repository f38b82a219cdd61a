"""The `corpuskit` command."""

import sys

from corpuskit.cli import main

if __name__ == "__main__":
    sys.exit(main())

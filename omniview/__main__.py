"""`python -m omniview` is the `omniview` command."""

from omniview.cli import main

if __name__ == "__main__":
    main()

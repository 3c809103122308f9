"""`python -m bridge`, the same as the command `bridge`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the working folder: a torch.py in it must not be imported in the real one's place

from bridge.cli import main

main()

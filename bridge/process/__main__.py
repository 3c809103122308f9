"""`python -m bridge.process SIDE FOLDER`: what a worker runs."""

import sys

from bridge.process.serving import serve_within

serve_within(*sys.argv[1:])

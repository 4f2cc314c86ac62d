"""`python -m tests.simulator`."""

from .cli import main

main()

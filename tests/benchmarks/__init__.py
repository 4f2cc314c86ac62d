"""Programs that measure; none is a timed test. `python -m tests.benchmarks [name …]`, see README.md for the method."""

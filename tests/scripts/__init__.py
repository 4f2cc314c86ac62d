"""The scripts that a person runs."""

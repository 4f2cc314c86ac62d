"""The protocol layer, by itself."""

"""The whole in a real Home Assistant, from outside."""

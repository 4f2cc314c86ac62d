"""The frontend of a real Home Assistant in a real Chromium, with simulated devices: what a user does and sees."""

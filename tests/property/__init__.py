"""What holds for any input, tried with a lot of it."""

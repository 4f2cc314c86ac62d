"""The tests; a package, so that the device simulator can be imported and run from it."""

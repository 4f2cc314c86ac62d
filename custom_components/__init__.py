"""Where Home Assistant looks for integrations that are not its own; a package, so that it wins over any other's."""

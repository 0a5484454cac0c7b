"""[edge] Studies from the command line, described by a TOML file."""

"""[edge] Studies described by TOML files."""

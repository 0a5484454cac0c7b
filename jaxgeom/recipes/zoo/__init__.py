"""[edge] A zoo of trained networks from the command line."""

"""[edge] A damped sine fitted by networks with one input."""

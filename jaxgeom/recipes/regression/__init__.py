"""[edge] A damped sine, fitted by networks with one input; part of ``python -m jaxgeom rings``."""

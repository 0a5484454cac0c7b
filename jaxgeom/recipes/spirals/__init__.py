"""[edge] Three spirals: four kinds of networks that learn them, and what their layers look like."""

"""[edge] Networks that jaxgeom trained, written for others: one file a format, and what they share."""

"""[edge] Tangled classes and the layers that detangle them."""

"""[edge] Layers that pull two tangled classes apart while they train, or die."""

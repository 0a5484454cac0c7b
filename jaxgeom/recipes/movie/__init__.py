"""[edge] The exact regions of a network while it trains, frame by frame."""

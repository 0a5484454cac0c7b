"""[edge] The linear regions of a network while it is trained, as a movie."""

"""[edge] XOR: how many linear regions networks have that solve it."""

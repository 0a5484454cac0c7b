"""[edge] XOR: linear regions of networks that solve it, single networks looked at closely, pairs compared."""

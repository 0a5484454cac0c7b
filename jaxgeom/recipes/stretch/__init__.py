"""[edge] How layers stretch, fold and shift the plane, step by step."""

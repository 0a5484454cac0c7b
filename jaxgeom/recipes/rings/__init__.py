"""[edge] Rings around a disk: which networks tell them apart."""

"""[edge] Networks from files, on planes of their input space."""

"""[edge] Points on their way through networks that lift them by a dimension and bring them back."""

"""[edge] Two spirals: networks trained to tell them apart, and what each layer does to the plane."""

"""[edge] Whole experiments, one a file: from defaults to tables, arrays and pictures."""

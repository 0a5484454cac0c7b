"""Linear regions, one algorithm a file: dense grid (with its distinct patterns and maps), exact arrangement, theory."""

"""What a dense grid of points sees of regions: distinct activation patterns and affine maps, and their numbers."""

"""Regions seen from a grid of points: distinct activation patterns, distinct affine maps, their counts."""

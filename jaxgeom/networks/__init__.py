"""Networks: models that train, their layers as geometry sees them, activation patterns, affine maps, slices."""

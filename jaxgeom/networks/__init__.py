"""Networks as arrays: models, their layers, affine maps and activation patterns, slices of input space."""

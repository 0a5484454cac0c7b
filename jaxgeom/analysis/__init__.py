"""Quantities of networks that are computed from their regions: topology, estimated counts, functional dimension.

Functions of this package take layers (:data:`jaxgeom.networks.layers.Layers`) of one network or of a population, and
return named tuples of NumPy arrays whose first axes are those of the population.
"""

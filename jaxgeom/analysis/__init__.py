"""Quantities computed from networks and their regions: measures, topology, decision surfaces, estimates, comparisons.

Most functions take layers (:data:`jaxgeom.networks.layers.Layers`) of one network or of a population, or a complex, and
return named tuples of arrays whose first axes are those of the population.
"""

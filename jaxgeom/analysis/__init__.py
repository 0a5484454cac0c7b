"""What is computed from networks and their regions: numbers of regions that nobody can list, dimensions of families.

Functions of this package take layers (:data:`jaxgeom.layers.Layers`) of one network or of a population, and return
named tuples of NumPy arrays whose first axes are those of the population.
"""

"""What the other rooms ask of the machine: chunks, threads, devices, signals, files, free memory, compiler options.

Here, too, is what stands between callers and arrays: keys and numbers in whatever form they are given
(:mod:`jaxgeom.host.inputs`, :mod:`jaxgeom.host.given`), and products of matrices that keep their precision
(:mod:`jaxgeom.host.contract`).
"""

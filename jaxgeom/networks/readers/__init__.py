"""[edge] Networks that something else trained, read into layers: one file a format, and what they share.

A reader follows the operations of the source with symbolic tensors (``expressions.py``, ``stencils.py``), in which
every number is an affine function of the inputs and of the units before it; ``chain.py`` makes a chain of layers of
them, and ``check.py`` compares it with the source.
"""

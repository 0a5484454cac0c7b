"""Training: one run as a pure function of its key (:mod:`jaxgeom.training.fit`), and populations of runs.

:mod:`jaxgeom.training.plan` says what a run will do. :mod:`jaxgeom.training.loop` does it for any model;
:mod:`jaxgeom.training.native` makes of it a call of the compiled engine, and :mod:`jaxgeom.training.primitive` an
operation of JAX. :mod:`jaxgeom.training.population` spreads runs over chunks and cores.
"""

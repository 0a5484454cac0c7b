"""Training: one run as a pure function of its key (:mod:`jaxgeom.training.fit`), and populations of runs.

:mod:`jaxgeom.training.plan` says what a run will do, :mod:`jaxgeom.training.loop` does it, with the functions of one
network or of the lanes of a population (:mod:`jaxgeom.training.lanes`); :mod:`jaxgeom.training.population` spreads runs
over chunks and cores.
"""

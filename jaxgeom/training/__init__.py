"""Training: one run as a pure function of its key (:mod:`jaxgeom.training.fit`), and whole populations of runs."""

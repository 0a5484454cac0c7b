"""[edge] Whole experiments, one folder each: settings to arrays, arrays to pictures, and the command that does both.

A folder has ``experiment.py`` (what is trained and measured, arrays in and out), ``pictures.py`` (figures of these
arrays) and ``command.py``, a subcommand of ``python -m jaxgeom``: ``SUMMARY``, ``DESCRIPTION``,
``add_arguments(parser)`` and ``run(options)``, which returns the paths that it has written. The options that all
experiments share (``out``, ``key``, ``formats``, ``quick``, ``quiet``) are added by :mod:`jaxgeom.__main__`. The files
beside the folders are what commands share.
"""

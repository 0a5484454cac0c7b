"""[edge] The subcommands of ``python -m jaxgeom``, one a file: their options, and what they run and print.

Each module has ``SUMMARY``, ``add_arguments(parser)`` and ``run(options)``. The options that all recipes share
(``out``, ``key``, ``formats``, ``quick``, ``quiet``) are added by :mod:`jaxgeom.__main__`.
"""

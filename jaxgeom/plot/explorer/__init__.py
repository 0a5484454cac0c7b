"""[edge] The explorer: networks in one page that answers to the mouse, without a server and without the net.

``gather`` reads runs, studies or layers as networks along named axes and frames, ``exact`` adds the polygons that the
engine finds, ``pack`` writes both as arrays, and ``page`` puts them into one file with the JavaScript of ``browser/``:
plain modules, each in a scope of its own.
"""

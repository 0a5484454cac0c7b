"""The compiled engine for exact regions: C++ sources and the one module that loads them."""

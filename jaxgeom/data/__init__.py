"""Data sets and losses."""

"""[edge] A disk and a ring around it: lines, codes and hidden space of sigmoid units."""

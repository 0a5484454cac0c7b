"""What is no array program: chunks, threads, devices, signals, files, memory, compiler options, checks of arguments."""

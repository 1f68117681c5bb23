"""Array work on whole matrices through one namespace: NumPy, CuPy, or any other of the array API standard."""

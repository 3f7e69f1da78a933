"""The data plane: sessions, paths, scheduling, reordering; time is an argument."""

"""Doors to the world, one file each; they decide nothing."""

"""Exports for the trainers: trajectories in a backbone's frame, and the pure part of each format."""

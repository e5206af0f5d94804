"""Readers of file formats: bounded in memory, time and depth on any input. Mechanism without policy."""

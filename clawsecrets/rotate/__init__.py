"""The rotation engine: a loop over a strategy table, steps that call the ports, and nothing else."""

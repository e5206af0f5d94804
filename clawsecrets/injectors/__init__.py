"""Injectors write values where a process will read them. Empty on purpose: `resolve` must start in milliseconds."""

"""Where a value that was replaced still stands: in what OpenClaw and this host read, and in what they keep."""

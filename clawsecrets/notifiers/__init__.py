"""Ways in which notices reach people. The log is the one that is always there."""

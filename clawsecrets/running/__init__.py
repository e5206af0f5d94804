"""Starts a command with secrets in its environment or in files, passes everything through, and masks what it says."""

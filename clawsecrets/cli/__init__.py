"""The command line: words, exit codes and tables. It decides nothing that the packages below decide."""

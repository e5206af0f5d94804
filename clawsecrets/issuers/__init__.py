"""Provider files and those who act on them: the loader, HTTP, ourselves (local), a person (assisted)."""

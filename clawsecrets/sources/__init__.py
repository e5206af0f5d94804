"""Reads places where secrets hide, and yields their content: files, git, images, hosts."""

"""Processes of the operating system: several that train together, and signals that end one."""

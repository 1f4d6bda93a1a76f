"""When to end a fit, and whether several together are better than one."""

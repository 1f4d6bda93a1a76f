"""Words found on maps."""

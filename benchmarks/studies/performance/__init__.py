"""What a fit costs and what it gives for that, beside peers."""

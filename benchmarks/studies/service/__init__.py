"""The service under load, under kills and under nonsense."""

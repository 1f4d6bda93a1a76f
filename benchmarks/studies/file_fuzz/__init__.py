"""Damaged files of every format, through every reader."""

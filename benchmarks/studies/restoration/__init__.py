"""Noise, blocks, holes and size: our restorations beside cheap ones and peers."""

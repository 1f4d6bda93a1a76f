"""The tables of the documents, from committed results."""

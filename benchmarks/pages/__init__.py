"""Images for the documents."""

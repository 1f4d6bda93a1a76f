"""Jobs: what they are, where they are kept, who may hand one in and who does it."""

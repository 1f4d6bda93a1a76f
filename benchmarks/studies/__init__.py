"""What is measured beyond the experiments of the command: one file or folder a question."""

"""Inside a worker process: from a job's pictures to its answer and the pictures made."""

"""Inside a worker process: from a job's images to its answer and the images made."""

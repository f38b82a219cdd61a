"""Ways to run tasks: in this process, in a pool of processes, on a Ray cluster."""

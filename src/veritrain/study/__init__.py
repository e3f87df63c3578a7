"""Many runs, one question: a study file, its cells, its tables. Torch-free: every cell is a process of its own."""

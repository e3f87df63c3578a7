"""TensorBoard and MLflow beside the record: they mirror its numbers, and can neither end nor change a training."""

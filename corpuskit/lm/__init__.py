"""Language models: n-gram and Transformer, their training and their metrics."""

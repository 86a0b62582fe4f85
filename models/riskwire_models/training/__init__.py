"""Training: the recipe, the model, the loss, the training loop, and its checkpoints."""

"""Training: recipe, loss, loop, checkpoints, calibration."""

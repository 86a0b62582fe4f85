"""Dead letters: reading them, putting records back, and repeating deliveries."""

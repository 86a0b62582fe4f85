"""Dead letters: finding them, putting their records back onto topics, and repeating deliveries and store writes."""

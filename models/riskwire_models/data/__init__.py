"""Training and evaluation data: the data sets, their readers, the splits, and the encoding as word pieces."""

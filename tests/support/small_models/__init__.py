"""Small encoders with random weights, and data sets of invented sentences, for the tests of the model package."""

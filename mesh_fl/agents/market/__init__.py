"""Market intelligence: prices, key figures, sentiment and trends of a whole network."""

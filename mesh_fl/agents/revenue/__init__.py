"""Revenue: forecasts of monthly amounts, blended as a whole network has learned to."""

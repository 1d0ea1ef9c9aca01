"""The values that everything is made of: quantities, counted series, load, answers. Plain data and pure functions."""

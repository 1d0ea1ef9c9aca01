"""Listeners of a run's events, and what they leave: words, pictures, records, Allure's results."""

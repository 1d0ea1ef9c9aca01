"""Nothing is configured here: the plugin ``chaos`` is an entry point of the installed package."""

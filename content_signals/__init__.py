"""content-signals: signals about content, from landing files to a model's request."""

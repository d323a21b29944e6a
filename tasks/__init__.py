"""Tasks: the actions of a pipeline, a module a provider."""

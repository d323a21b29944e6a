"""Flows: the pipeline template and what watches over it."""

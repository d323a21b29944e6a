"""Ways to put pipelines on a Prefect server."""

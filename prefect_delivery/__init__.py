"""Continuous delivery on Prefect: pipelines, environments, rollouts."""

"""AWS CodePipeline's own files: recognised, checked, imported and exported.

`names.parameter` says how a task names its parameter for a key of CodePipeline.
"""

from prefect_delivery.codepipeline.names import parameter, provider, uses_of

__all__ = ["parameter", "provider", "uses_of"]

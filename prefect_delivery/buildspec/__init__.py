"""What a buildspec of AWS CodeBuild says; knows nothing of how it is run.

Source: AWS CodeBuild user guide, build-spec-ref and batch-build-buildspec.
"""

"""What an appspec of AWS CodeDeploy says; knows nothing of how it is carried out.

Source: AWS CodeDeploy user guide, reference-appspec-file-structure.
"""

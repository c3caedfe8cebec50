"""What plugins say of themselves in files: manifests and model YAML, read without importing their code."""

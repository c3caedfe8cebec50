"""Is not where its entry point says."""

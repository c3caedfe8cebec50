"""Ollama's native API as a modelhub provider."""

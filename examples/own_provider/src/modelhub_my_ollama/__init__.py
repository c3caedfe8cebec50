"""Ollama as a modelhub provider."""

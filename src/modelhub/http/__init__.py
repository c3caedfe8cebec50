"""The one transport seam. Only the modules of this package import an HTTP client."""

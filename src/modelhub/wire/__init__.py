"""Sans-IO wire formats: bytes in, values out, bounded buffers. Imports no event loop and no HTTP client."""

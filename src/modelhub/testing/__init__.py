"""For tests of the core, of plugins and of applications: real sockets, exact bytes, no patching."""

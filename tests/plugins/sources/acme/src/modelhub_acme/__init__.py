"""Everything that a provider plugin can be, in one."""

"""Others that do the same work, as their own documentation has it."""

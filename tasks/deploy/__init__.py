"""Actions that deploy."""

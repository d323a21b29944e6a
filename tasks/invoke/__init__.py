"""Actions that call code."""
